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

/// Is called when a wait begins and ends, and when a lock file is created.
class WaitObserver {
 public:
  WaitObserver() = default;
  WaitObserver(const WaitObserver&) = delete;
  WaitObserver& operator=(const WaitObserver&) = delete;
  virtual ~WaitObserver() = default;

  /// A wait for `target` begins. The reference is valid until wait_ends().
  virtual void wait_begins(const Target& target) = 0;
  virtual void wait_ends() = 0;

  /// The lock file of this path was missing, and has been created; it is not locked yet.
  virtual void lock_file_created(const std::string& path) { (void)path; }
};

/// How long to try for locks.
struct WaitPolicy {
  bool waits = true;
  std::optional<Deadline> deadline = {};  ///< for all locks together
  WaitObserver* observer = nullptr;       ///< borrowed; may be null
};

/// How an attempt ended.
struct Attempt {
  /// `held`, or, if no lock is held, `busy` (only without waiting, or IfBusy::report),
  /// `timed_out` or `cancelled`. Errors: those of resolve, sys::open_lock_file and sys::try_lock.
  Result<sys::WaitEnd> end;
  /// In the order of taking them. Slots without a limit add none.
  std::vector<HeldLock> locks;
  std::size_t at = 0;  ///< index of the target that was not taken, unless held
};

/// Takes all of the locks, or none. `targets` must be in the order of sort_and_dedupe.
/// Missing lock files are created, and a file that several of these locks have is locked
/// once. While it waits for a target, in the kernel's queue, it keeps the locks before.
///
/// If a lock file turns out to be removed or replaced, its path doesn't name the locked
/// file any more: then it starts over, and resolves `targets` again. A slot is never
/// shared, whatever `mode` says.
Attempt acquire(std::vector<Target>& targets, sys::Mode mode, const WaitPolicy& policy);

/// The result of probing a lock.
struct Probe {
  sys::Acquire outcome = sys::Acquire::busy;  ///< `held` or `busy`
  std::string path;                           ///< of the lock file; at tier semaphore that of a free slot
};

/// Checks whether the lock could be taken now. Creates nothing and keeps nothing. Errors:
/// those of sys::open_lock_file, except for a missing file, and of sys::try_lock.
Result<Probe> probe(const Target& target, sys::Mode mode);

}  // namespace grex::core
