#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/stop_token.hpp"
#include "core/inspect/inspect.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"

namespace grex::core {

/// A file of a lock.
struct FoundFile {
  FileToInspect file;
  Layout layout = Layout::flat;
  std::optional<unsigned> slot = {};  ///< at tier semaphore; a queue file has none
};

/// A lock and its files.
struct FoundLock {
  Tier tier = Tier::per_pack;
  std::string target;  ///< canonical path of what it guards
  std::string path;    ///< of its first file; at tier semaphore that of a slot
  /// The flat one first; at tier semaphore the slots, then the queue files. Lost ones before all.
  std::vector<FoundFile> files;
  /// If there may be more slots than could be seen: why they can't be listed.
  std::optional<Error> why_incomplete = {};
  bool is_old = false;  ///< its files have old names: see LockPlace
};

/// The lock of each tier that a path has, with its files in these layouts, whether they
/// exist or not. For a missing path, only those with a file: a clone's destination may be
/// gone while its lock is held. `slots` is how many slots to assume if they can't be
/// listed. Errors: those of resolve.
Result<std::vector<FoundLock>> locks_of(const std::string& path, const Layouts& layouts, unsigned slots);

/// Is called with the progress of a search, and with what it could not read.
struct SearchObserver {
  /// Returns whether to continue; if not, the search returns what it has found so far.
  std::function<bool(std::size_t directories, std::size_t files)> on_progress;
  std::function<void(const Error& error)> on_unreadable;
  /// A directory on which another file system is mounted, and which isn't searched.
  std::function<void(const std::string& directory)> on_other_file_system;
};

/// The locks, of any layout, with files in a directory or below it, in the order of their
/// targets. The search enters the subvolumes and other mounts of the same file system,
/// but no other file systems, symbolic links or `.git`. Errors:
/// not-found, permission, system, io; for the directory itself.
Result<std::vector<FoundLock>> locks_below(const std::string& directory, const SearchObserver& observer);

/// The locks, of any layout, with files that a process of this machine has open. A file
/// that only another mount namespace has is named through /proc/PID/root. A name on a file
/// system that may never answer is believed, and not looked up.
struct LocksInUse {
  std::vector<FoundLock> locks;
  /// How many locked files, grex's or others', can't be named, because no process was seen
  /// to have them open.
  std::size_t unnamed = 0;
  /// How many locked files no path leads to, although they weren't removed: a mount hides
  /// them, or their path is too long. Those whose path is too long may be others'.
  std::size_t unreachable = 0;
  /// Whether there are processes that may not be inspected, and may have these open.
  bool has_uninspected = false;
  /// Whether there may be more of these: the kernel's list changed whenever it was read.
  bool may_lack_unnamed = false;
  /// Whether processes of other PID namespaces may hold more locks.
  bool may_lack_namespaces = false;
};
/// If it should stop, more may be missing.
LocksInUse locks_in_use(const StopToken& should_stop = never_stop);

}  // namespace grex::core
