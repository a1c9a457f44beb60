#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "sys/lock/flock.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::core {

/// How long to try for locks.
struct Patience {
  bool waits = true;
  std::optional<sys::Deadline> deadline = {};  ///< for all locks together
  /// Called before each wait, with the lock that is waited for, which stays where
  /// it is meanwhile. What it returns is dropped when the wait is over.
  std::function<std::shared_ptr<void>(const Target&)> on_wait = {};
};

/// How an attempt ended.
struct Attempt {
  /// `held`, or else one that none is held after: `busy` (only without waiting),
  /// `timed_out` or `cancelled`. Errors: those of resolve, sys::open_lock_file
  /// and sys::try_lock.
  Result<sys::WaitEnd> end;
  /// In the order of taking them. There is none for unbounded permits.
  std::vector<HeldLock> locks;
  std::size_t at = 0;  ///< which of the targets stood in the way, unless held
};

/// Takes all of the locks, or none. `targets` are in the order that put_in_order
/// gives; a lock file that is missing is made, and one that is the file of
/// another lock of theirs is locked once. At each target it waits in the
/// kernel's queue, keeping those before.
///
/// The locks are on the files that their paths name, which a lock on a file that
/// was removed or replaced is not: then all begins again, with `targets` made
/// anew. A permit is never shared, whatever `mode` says.
Attempt acquire(std::vector<Target>& targets, sys::Mode mode, const Patience& patience);

/// What a lock would be, had it been taken now.
struct Probe {
  sys::Acquire outcome = sys::Acquire::busy;  ///< `held` or `busy`
  std::string path;                           ///< of the lock file; at tier semaphore the one that is free
};

/// Whether the lock could be taken now, making nothing and keeping nothing.
/// Errors: those of sys::open_lock_file, but for a missing file, and of
/// sys::try_lock.
Result<Probe> probe(const Target& target, sys::Mode mode);

}  // namespace grex::core
