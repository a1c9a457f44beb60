#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "core/lock/wait_policy.hpp"
#include "sys/lock/flock.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::core {

/// How an attempt ended.
struct Attempt {
  /// `held`, or, if no lock is held, `busy` (only without waiting, or if WhenBusy is not `wait`),
  /// `timed_out` or `cancelled`. Errors: those of resolve, sys::open_lock_file and sys::try_lock.
  Result<sys::WaitEnd> end;
  /// In the order of the targets. Slots without a limit add none.
  std::vector<HeldLock> locks;
  FilePosition at = {};  ///< the file that was not taken, unless held
  /// It was not a file, but a lock that is kept elsewhere, which RemoteLocks names.
  bool is_remote = false;
};

/// Takes all of the locks, or none. Missing lock files are created, and a file that several
/// of these locks have is locked once. While it waits for a file, in the kernel's queue, it
/// keeps the files before.
///
/// The files are taken in the order of order_of, so that no two processes wait for each
/// other. After those of a tier, what is kept elsewhere of its locks is taken.
///
/// If a lock file turns out to be removed or replaced, its path doesn't name the locked
/// file any more: then it starts over, and resolves `targets` again.
///
/// At most a lock's last file is opened for writing: see WaitPolicy. What grex-lock 0.1 has
/// left in another one is removed.
Attempt acquire(std::vector<Target>& targets, const WaitPolicy& policy);

/// Waits for a file, and keeps nothing. Then it is free, or it was replaced. Errors: those of
/// sys::open_lock_file and sys::try_lock.
Result<sys::WaitEnd> wait_until_free(const Target& target, const TargetFile& file, const WaitPolicy& policy);

/// The result of probing a lock.
struct Probe {
  sys::Acquire outcome = sys::Acquire::busy;  ///< `held` or `busy`
  std::size_t file = 0;                       ///< the first that is busy
  std::string path;                           ///< of the busy file, or of the first one; of a free slot
  bool is_new = false;                        ///< whether the first file doesn't exist
};

/// Checks whether the lock could be taken now. Creates nothing and keeps nothing. Errors:
/// those of sys::open_lock_file, except for a missing file, and of sys::try_lock.
Result<Probe> probe(const Target& target);

}  // namespace grex::core
