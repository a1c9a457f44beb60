#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "core/record.hpp"
#include "core/target.hpp"
#include "core/tier_stack.hpp"
#include "sys/flock.hpp"
#include "sys/wait.hpp"

namespace grex::core {

/// A lock that is held, until it is released, abandoned or dropped (which
/// releases it).
class HeldLock {
 public:
  HeldLock(sys::LockFile file, Tier tier, std::string path, sys::Mode mode)
      : file_(std::move(file)), tier_(tier), path_(std::move(path)), mode_(mode) {}
  HeldLock(HeldLock&&) = default;
  HeldLock& operator=(HeldLock&& other) noexcept;
  HeldLock(const HeldLock&) = delete;
  HeldLock& operator=(const HeldLock&) = delete;
  ~HeldLock() { release(); }

  /// Writes who we are into the lock file. A shared holder, and one that may
  /// only read the file, has nowhere to write: that is no Error. Errors: io.
  Result<void> write_record(const Record& record);

  /// Empties the record and unlocks, for every process that inherited the lock.
  void release();

  /// Lets go of our copy only: the lock stays while another process has it open.
  void abandon() { file_.fd.reset(); }

  /// Borrowed.
  [[nodiscard]] int fd() const { return file_.fd.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }

  /// The entry that says so to descendants.
  [[nodiscard]] StackEntry stack_entry() const;

 private:
  sys::LockFile file_;
  Tier tier_;
  std::string path_;
  sys::Mode mode_;
  bool has_record_ = false;
};

/// How an attempt ended. `lock` is there if and only if the outcome is `held`
/// and there was something to hold (see Target about unbounded permits).
struct Attempt {
  sys::WaitEnd end;
  std::optional<HeldLock> lock;
};

/// One try, without waiting: `held` or `busy`. Makes the lock file where it is
/// missing. The lock that comes back is on the file that its path names, which
/// a lock on a file that was removed or replaced is not.
/// Errors: those of resolve, sys::open_lock_file and sys::try_lock.
Result<Attempt> try_acquire(const LockRequest& request, Target& target, sys::Mode mode);

/// As try_acquire, but waits in the kernel's queue: `held`, `timed_out` or
/// `cancelled`. While it waits the target may be replaced; then `target` is
/// made anew from `request`.
Result<Attempt> acquire(const LockRequest& request, Target& target, sys::Mode mode,
                        std::optional<sys::Deadline> deadline);

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
