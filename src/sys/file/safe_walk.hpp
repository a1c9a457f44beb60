#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

enum class IfMissing { fail, create };

/// Opens a directory (O_PATH) step by step, for root: no step may lead from a directory or
/// symlink of a user other than root to what is another user's, because a user chooses what
/// is in their directories, and where their links lead. A relative path starts at the
/// working directory, even if another user owns it. Missing directories are created as create_in does,
/// but none behind a symlink that leads nowhere.
///
/// Errors: unsafe-file (such a step; its path is in the Error), not-found, permission,
/// system, io; with IfMissing::create also create (the directory is in the Error).
Result<UniqueFd> walk_safely(const std::string& path, IfMissing if_missing);

/// The `op` of the unsafe-file Error for a step from one user's to another user's.
inline constexpr std::string_view unsafe_step = "unsafe step";

}  // namespace grex::sys
