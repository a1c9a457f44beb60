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

/// Opens a directory (O_PATH) step by step, if no user but root can change where its path
/// leads: every directory on the way belongs to root, and neither its group nor others can
/// write to it. `path` is absolute. Errors: unsafe-file (with `writable_step`: such a
/// directory, which is in the Error), not-found, permission, system, io.
Result<UniqueFd> walk_where_only_root_writes(const std::string& path);

/// The same, but directories may also be the effective user's own.
Result<UniqueFd> walk_where_only_we_write(const std::string& path);

/// The `op` of the unsafe-file Error for a directory that other users can change.
inline constexpr std::string_view writable_step = "writable step";

/// The `op` of the unsafe-file Error for a step from one user's to another user's.
inline constexpr std::string_view unsafe_step = "unsafe step";

}  // namespace grex::sys
