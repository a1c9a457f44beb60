#pragma once

#include <string>

#include "base/result.hpp"

namespace grex::core {

/// The environment variable that names the directory of the keeper's program. Root ignores it.
inline constexpr const char* libexec_variable = "GREX_LOCK_LIBEXEC";

/// The path of the program that keeps cluster locks. It is in the directory of that variable; or
/// else in ../libexec/grex-lock of the directory of this program, or beside it. Errors:
/// cluster-config. Their path is what was looked for: the program (ENOENT), or a directory that is
/// not absolute (EINVAL), can't be read (EACCES, …), or that another user can change (EPERM); their
/// `op` is libexec_variable if that has named it.
Result<std::string> find_keeper_program();

}  // namespace grex::core
