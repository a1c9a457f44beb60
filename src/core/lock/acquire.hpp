#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "sys/lock/flock.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::core {

/// Learns when a wait begins and ends.
class WaitObserver {
 public:
  WaitObserver() = default;
  WaitObserver(const WaitObserver&) = delete;
  WaitObserver& operator=(const WaitObserver&) = delete;
  virtual ~WaitObserver() = default;

  /// The wait for this lock, which stays in its place until wait_ends().
  virtual void wait_begins(const Target& target) = 0;
  virtual void wait_ends() = 0;
};

/// How long to try for locks.
struct WaitPolicy {
  bool waits = true;
  std::optional<Deadline> deadline = {};  ///< for all locks together
  WaitObserver* observer = nullptr;       ///< borrowed; may be null
};

/// How an attempt ended.
struct Attempt {
  /// `held`, or an end after which none is held: `busy` (only without waiting),
  /// `timed_out` or `cancelled`. Errors: those of resolve, sys::open_lock_file
  /// and sys::try_lock.
  Result<sys::WaitEnd> end;
  /// In the order of taking them. None if slots have no limit.
  std::vector<HeldLock> locks;
  std::size_t at = 0;  ///< which of the targets was in the way, unless held
};

/// Takes all of the locks, or none. `targets` are in the order that sort_and_dedupe
/// gives. A lock file that is missing is created, and one that is also the file of
/// another of these locks is locked once. At each target it waits in the kernel's
/// queue, keeping those before.
///
/// The locks are on the files that their paths name, and a lock on a file that was
/// removed or replaced is not: then all begins again, with `targets` resolved again.
/// A slot is never shared, whatever `mode` says.
Attempt acquire(std::vector<Target>& targets, sys::Mode mode, const WaitPolicy& policy);

/// What a lock would be if it had been taken now.
struct Probe {
  sys::Acquire outcome = sys::Acquire::busy;  ///< `held` or `busy`
  std::string path;                           ///< of the lock file; at tier semaphore the free one
};

/// Whether the lock could be taken now, creating nothing and keeping nothing.
/// Errors: those of sys::open_lock_file, but for a missing file, and of
/// sys::try_lock.
Result<Probe> probe(const Target& target, sys::Mode mode);

}  // namespace grex::core
