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

  /// A wait for a file of `target` begins. The references are valid until wait_ends().
  virtual void wait_begins(const Target& target, const TargetFile& file) = 0;
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

/// A file of one of several targets.
struct FilePosition {
  std::size_t target = 0;
  std::size_t file = 0;
};

/// How an attempt ended.
struct Attempt {
  /// `held`, or, if no lock is held, `busy` (only without waiting, or IfBusy::report),
  /// `timed_out` or `cancelled`. Errors: those of resolve, sys::open_lock_file and sys::try_lock.
  Result<sys::WaitEnd> end;
  /// In the order of the targets. Slots without a limit add none.
  std::vector<HeldLock> locks;
  FilePosition at = {};  ///< the file that was not taken, unless held
};

/// Takes all of the locks, or none. Missing lock files are created, and a file that several
/// of these locks have is locked once. While it waits for a file, in the kernel's queue, it
/// keeps the files before.
///
/// The files are taken in one order, whatever layouts they are of, and by whatever paths
/// their directories are reached, so that no two processes wait for each other: by tier,
/// then the flat layout first, then by inode and device of the directory, then by name.
///
/// If a lock file turns out to be removed or replaced, its path doesn't name the locked
/// file any more: then it starts over, and resolves `targets` again.
///
/// Only a lock's last file is opened for writing. What grex-lock 0.1 has left in another one
/// is removed.
Attempt acquire(std::vector<Target>& targets, const WaitPolicy& policy);

/// Waits for a file, and keeps nothing. Then it is free, or it was replaced. Errors: those of
/// sys::open_lock_file and sys::try_lock.
Result<sys::WaitEnd> wait_until_free(const Target& target, const TargetFile& file, const WaitPolicy& policy);

/// The result of probing a lock.
struct Probe {
  sys::Acquire outcome = sys::Acquire::busy;  ///< `held` or `busy`
  std::size_t file = 0;                       ///< the first that is busy
  std::string path;                           ///< of the busy file, or of the first one; of a free slot
};

/// Checks whether the lock could be taken now. Creates nothing and keeps nothing. Errors:
/// those of sys::open_lock_file, except for a missing file, and of sys::try_lock.
Result<Probe> probe(const Target& target);

}  // namespace grex::core
