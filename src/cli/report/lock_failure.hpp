#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "cli/report/failure.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::cli {

/// A lock as messages name it.
struct LockName {
  core::Tier tier = core::Tier::per_pack;
  std::string path;         ///< of its file; at tier semaphore the first slot's
  std::string target = {};  ///< canonical path of what it guards; empty if unknown
};
LockName name_of(const core::Target& target);
LockName name_of(const core::Target& target, const core::TargetFile& file);
LockName name_of(const core::HeldLock& lock);

/// Whether an entry is for a file of this lock, as far as its path says.
bool is_of_lock(const core::StackEntry& entry, const LockName& lock);

/// How the user wants a busy lock to be reported.
struct BusyReport {
  int exit_code = exit_code::busy;  ///< -E
  bool is_printed = true;           ///< false with -q
};

/// A file of this lock could not be opened or created. If another file of the lock could be
/// had, the hint names the layout that locks only that one.
Failure open_failure(const Error& error, const core::Target& target);

/// grex-lock did not write this GREX_LOCK_STACK.
Failure stack_failure();

/// An ancestor holds this same lock, which is wanted in this mode. Reported whatever -E and
/// -q say.
Failure reentry_failure(const LockName& lock, const core::VerifiedEntry& ancestor, sys::Mode wanted);

/// A lock that an ancestor may hold is busy, and --reentrant needs proof. The same.
Failure unproved_failure(const LockName& lock, const core::StackEntry& ancestor);

/// An ancestor holds a lock that must be taken after this one.
Failure order_failure(const LockName& lock, const core::VerifiedEntry& ancestor);

/// A signal ended the wait.
Failure cancelled_failure(const LockName& lock, const sys::ReceivedSignal& signal, const BusyReport& busy);

/// A wait that ended at its limit, with the lock still busy.
Failure timeout_failure(Failure busy, std::chrono::nanoseconds limit);

}  // namespace grex::cli
