#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"

namespace grex::core {

/// A lock, and the files that are it.
struct FoundLock {
  Tier tier = Tier::per_pack;
  Layout layout = Layout::flat;
  std::string target;              ///< canonical path of what it guards
  std::string path;                ///< of its file; at tier semaphore of a permit's
  std::vector<std::string> files;  ///< at tier semaphore of the permits, and then of the queues for them
  std::vector<unsigned> slots;     ///< the permits' numbers, in the order of their files
  bool is_complete = true;         ///< false: there may be more permits than could be seen
};

/// The lock of each tier that a path has in these layouts, whether its file is
/// there or not; of a missing path only those that are: a clone's destination may
/// be gone while its lock is held. `slots` is how many permits are meant, for
/// where they can't be listed. Errors: those of resolve.
Result<std::vector<FoundLock>> locks_of(const std::string& path, const Layouts& layouts, unsigned slots);

/// How far a search has come, and what it could not look at.
struct SearchObserver {
  /// Whether to go on; else what was found until then is all.
  std::function<bool(std::size_t directories, std::size_t files)> on_progress;
  std::function<void(const Error& error)> on_unreadable;
};

/// The locks, of any layout, whose files lie in a directory or below it. Other
/// file systems, symbolic links and `.git` are not gone into. In the order of
/// their targets. Errors: not-found, permission, system, io; for the directory
/// itself.
Result<std::vector<FoundLock>> locks_below(const std::string& directory, const SearchObserver& observer);

/// The locks, of any layout, whose files some process of this machine has open.
/// One that only another mount namespace has is named by way of /proc/PID/root.
struct LocksInUse {
  std::vector<FoundLock> locks;
  /// Files that are locked, grex's or others', and can't be named, since the
  /// processes that have them open may not be looked at.
  std::size_t unnamed = 0;
  /// Whether more may be locked, and can't be named: the kernel's list changed
  /// whenever it was read.
  bool may_lack_unnamed = false;
  /// Whether processes of other PID namespaces may have more.
  bool may_lack_namespaces = false;
};
LocksInUse locks_in_use();

}  // namespace grex::core
