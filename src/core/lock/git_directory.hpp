#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/file/no_follow.hpp"
#include "sys/lock/lock_file.hpp"

namespace grex::core {

/// The directory of a git repository that all its work trees share.
struct GitDirectory {
  UniqueFd fd;       ///< only for looking up names (O_PATH)
  std::string path;  ///< for messages
};

/// The nearest `.git` above a file that git would use.
struct GitSearch {
  std::string work_tree;  ///< the directory that has it; empty if there is none
  /// nullopt if there is none.
  Result<std::optional<GitDirectory>> directory;
};

/// Finds the repository that a lock file lies in, as git does, but without
/// git and its environment: `.git` is a directory with HEAD, objects and refs, or a file
/// that leads to one. Follows no symlink from `.git` on. `owner` must own all of it; in a
/// path that a `.git` file names, directories of root may come before.
///
/// Errors: permission (with sys::check_owner: another owner), unsafe-file (ELOOP: a symlink; 0: neither a
/// directory nor a regular file), not-found (a `.git` file leads to no repository), system,
/// io.
GitSearch find_git_directory(const sys::LockFileName& file, sys::Owner owner);

}  // namespace grex::core
