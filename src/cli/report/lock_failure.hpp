#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "cli/report/failure.hpp"
#include "core/inspect/inspect.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::cli {

/// A lock as messages name it.
struct LockName {
  core::Tier tier = core::Tier::per_pack;
  std::string path;         ///< of its file; at tier semaphore the first slot's
  std::string target = {};  ///< canonical path of what it guards; empty if that is not known
};
LockName name_of(const core::Target& target);
LockName name_of(const core::HeldLock& lock);

/// What the user chose to get for a lock that can't be had.
struct BusyReport {
  int exit_code = exit_code::busy;  ///< -E
  bool is_printed = true;           ///< false with -q
};

/// The processes that hold a busy lock are named for this audience.
enum class Audience {
  none,      ///< no process is looked for
  people,    ///< the process that took it
  programs,  ///< all that have it open, for which all of /proc is read
};

/// GREX_LOCK_STACK is not what grex-lock writes.
Failure stack_failure();

/// An ancestor holds this very lock; `wanted` is what --reentrant says.
Failure reentry_failure(const LockName& lock, const core::StackEntry& ancestor, core::Reentrant wanted,
                        const BusyReport& busy);

/// An ancestor holds a lock that must be taken after this one.
Failure order_failure(const LockName& lock, const core::StackEntry& ancestor);

/// A signal ended the wait.
Failure cancelled_failure(const LockName& lock, const sys::ReceivedSignal& signal, const BusyReport& busy);

/// Another process has the lock; `files` are all its lock files.
Failure busy_failure(const LockName& lock, const std::vector<std::string>& files, const BusyReport& busy,
                     Audience audience, const core::StopToken& should_stop = core::never_stop);

/// Makes such a Failure, unless it is asked to stop.
using FindBusy = std::function<Failure(const core::StopToken& should_stop)>;

/// The time that has passed since then.
std::chrono::milliseconds since(std::chrono::steady_clock::time_point start);

/// A wait that ended, `waited` after it began, with the lock still busy.
Failure timeout_failure(Failure busy, std::chrono::milliseconds waited);

}  // namespace grex::cli
