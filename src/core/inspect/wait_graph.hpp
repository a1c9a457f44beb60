#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/ancestor_lock.hpp"
#include "core/inspect/file_report.hpp"

namespace grex::core {

/// A hold that keeps a lock until a process ends which is above a process in a deadlock, or is that.
struct StuckHold {
  pid_t pid = 0;
  WatchedProcess watched;
  bool is_in_stack = false;  ///< GREX_LOCK_STACK has passed it on to the process in the deadlock
};

/// A process in a deadlock, and the path of the lock that it waits for; empty if unknown.
struct StuckProcess {
  LockProcess process;
  std::string waits_for;
  std::optional<StuckHold> hold = {};  ///< of the lock for which the previous one of the cycle waits
};
using DeadlockReport = std::vector<StuckProcess>;  ///< in the order of the cycle

/// The deadlocks of this machine that keep one of these processes waiting, over any
/// flock(2) locks. The kernel's list shows which processes wait; what they hold comes from
/// that list, their descriptors, the tier stacks in their environments, and the holds that end
/// only with a process that waits for them. What can't be read is not suspected, and neither is
/// a process that has a running thread, unless it waits for a lock that only its end releases:
/// one that it has inherited, or that a grex-lock or flock(1) above it has. A deadlock is
/// reported only if two reads show the same, and none of its processes ran in between, except
/// for those. If it should stop, none is known.
std::vector<DeadlockReport> deadlocks_of(const std::vector<pid_t>& concerned, const WatchedPid& watched_pid,
                                         const StopToken& should_stop = never_stop);

}  // namespace grex::core
