#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"
#include "core/inspect/inspect.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::cli {

/// GREX_LOCK_STACK is not what grex-lock writes.
Failure stack_failure();

/// A lock as messages name it: what it is, and its path.
struct LockName {
  core::Tier tier = core::Tier::per_pack;
  std::string path;         ///< of its file; at tier semaphore the first permit's
  std::string target = {};  ///< canonical path of what it guards; empty if that is not known
};
LockName name_of(const core::Target& target);
LockName name_of(const core::HeldLock& lock);

/// An ancestor holds this very lock.
Failure reentry_failure(const LockName& lock, const core::StackEntry& ancestor, const LockOptions& options);

/// An ancestor holds a lock that has to be taken after this one.
Failure order_failure(const LockName& lock, const core::StackEntry& ancestor);

/// A signal ended the wait.
Outcome cancelled(const LockName& lock, const sys::WaitEnd& end, const LockOptions& options);

/// Whether anyone reads who holds a busy lock, beside whom the options tell of.
enum class HoldersFor { people, programs };

/// Somebody has the lock; `files` are all its lock files. Programs are told of all
/// who have it, for which all of /proc is read; people, of whoever took it; and
/// where -q keeps it from people, nobody is looked for.
Failure busy_failure(const LockName& lock, const std::vector<std::string>& files, const LockOptions& options,
                     HoldersFor readers, const core::GivesUp& gives_up = core::never);

/// Finds out who stands in the way.
using FindBusy = std::function<Failure(const core::GivesUp& gives_up)>;

/// How long ago that was.
std::chrono::milliseconds since(std::chrono::steady_clock::time_point start);

/// A wait that ended, `waited` after it began, with the lock still busy.
Failure timeout_failure(Failure busy, std::chrono::milliseconds waited);

}  // namespace grex::cli
