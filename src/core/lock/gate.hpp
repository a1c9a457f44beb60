#pragma once

#include <optional>
#include <vector>

#include "base/result.hpp"
#include "core/lock/target.hpp"
#include "core/lock/wait_policy.hpp"
#include "sys/lock/flock.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::core {

/// The gates that a process uses while it takes files in their order.
///
/// A gate is a lock in front of a lock, so that overlapping sharers don't keep an exclusive
/// waiter waiting: that has the gate while it waits, and a sharer locks the gate, and unlocks
/// it, before it goes to the lock. The first sharer creates the file.
///
/// A process waits in front of a gate only while it has no file of that tier, and neither have
/// its ancestors: it waits for the waiter, which waits for the holders of the lock. One that
/// has such a file takes the gate for its own wait only if that is free. If a holder waits for
/// a process in front of the gate, and that can't be seen, that one still gets in: the waiter
/// leaves the gate for a second, after 10 s for the first time, and then after twice as long
/// each time. A gate that can't be used is none.
class Gates {
 public:
  /// The references are borrowed.
  Gates(const std::vector<Target>& targets, const WaitPolicy& policy) : targets_(targets), policy_(policy) {}

  /// Before the file at `at` is taken: lets the waiters for the exclusive locks of that tier
  /// that are to be shared go first. If the outcome is not `held`, the wait has ended, or, if
  /// `busy`, the lock must be checked first (WhenBusy::check), and `at` is a file of the lock
  /// whose gate was not passed. Errors: system.
  Result<sys::WaitEnd> approach(FilePosition& at);

  /// Waits for the lock on the file of a target, in its gate if that is used. Otherwise as
  /// sys::wait_lock.
  Result<sys::WaitEnd> wait(const Target& target, sys::LockFile& lock);

  /// After a file was taken.
  void took_file() { has_file_of_tier_ = true; }

 private:
  [[nodiscard]] bool is_used(const Target& target) const;
  Result<sys::WaitEnd> pass(const Target& target);
  Result<sys::WaitEnd> enter(const Target& target);
  Result<sys::WaitEnd> wait_in_gate(sys::LockFile& lock, std::optional<Deadline> until);
  [[nodiscard]] bool has_time_left(const Result<sys::WaitEnd>& end) const;
  static Result<sys::Acquire> try_gate(sys::LockFile& gate, sys::Mode mode, const Target& target);
  [[nodiscard]] bool may_wait_at(const sys::LockFile& gate, sys::Acquire tried) const;
  Result<sys::WaitEnd> wait_at_gate(sys::LockFile& gate, sys::Mode mode, const Target& target);

  const std::vector<Target>& targets_;
  const WaitPolicy& policy_;
  std::optional<Tier> tier_;           // that of the last file
  bool has_file_of_tier_ = false;      // taken by this process
  std::optional<sys::LockFile> gate_;  // that of `target_`, locked exclusively
  const Target* target_ = nullptr;
};

}  // namespace grex::core
