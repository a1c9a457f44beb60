#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// Who must own what is opened. If the effective user is root, only root's files are its own.
enum class Owner { effective_user, anyone };

/// These functions open by name after name, and follow no symlink, so that no other user
/// can lead this process elsewhere. `directory` is borrowed. Errors: not-found, permission
/// (with `check_owner`: another owner), unsafe-file (ELOOP: a symlink; ENOTDIR: no directory; 0:
/// no regular file), system, io.

/// The `op` of the Error about another owner.
inline constexpr std::string_view check_owner = "check the owner of";

/// A directory, for looking up names only (O_PATH). `path` is relative to `directory`, or
/// absolute; ".." in it is the directory above. On the way, directories of root will do, too.
Result<UniqueFd> open_directory_no_follow(int directory, std::string_view path, Owner owner);

/// A regular file. `flags` are those of open(2); with O_CREAT, its mode is 0666, less the
/// umask.
Result<UniqueFd> open_file_no_follow(int directory, const std::string& name, int flags, Owner owner);

}  // namespace grex::sys
