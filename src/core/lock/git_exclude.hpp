#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/lock/lock_file.hpp"

namespace grex::core {

/// What became of the patterns of lock files in a repository's info/exclude.
struct GitExclusion {
  std::string work_tree;  ///< the directory with the nearest `.git`; empty if there is none
  Result<bool> is_added;  ///< false: they were there, or there is no repository
};

/// Keeps lock files out of `git status` in the repository that this one lies in: adds the
/// block of patterns to its info/exclude, unless it is there. Changes only
/// what the effective user owns, and follows no symlink. If another process has the file
/// locked, it waits for about 100 ms, and if that replaces the file, again, up to ten times.
///
/// Errors, with the path: those of find_git_directory, and busy (another process keeps the
/// file locked), unsafe-file (also EMLINK: it has a second name; EFBIG: it is too long),
/// create.
GitExclusion exclude_from_git(const sys::LockFileName& file);

}  // namespace grex::core
