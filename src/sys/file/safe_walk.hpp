#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// Opens a directory (O_PATH) step by step, for root: no step may lead from a directory or
/// symlink of a user other than root to what is another user's, because a user chooses what
/// is in their directories, and where their links lead. A relative path starts at the
/// working directory, whoever owns it.
///
/// Errors: unsafe-file (such a step; its path is in the Error), not-found, permission,
/// system, io.
Result<UniqueFd> walk_safely(const std::string& path);

/// The `op` of the unsafe-file Error for a step from one user's to another user's.
inline constexpr std::string_view unsafe_step = "unsafe step";

}  // namespace grex::sys
