#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/inspect/inspect.hpp"

namespace grex::core {

/// A process in a deadlock, and the path of the lock that it waits for; empty
/// where that can't be known.
struct StuckProcess {
  LockProcess process;
  std::string waits_for;
};
using DeadlockReport = std::vector<StuckProcess>;  ///< in the order of the cycle

/// The deadlocks of this machine that keep one of these processes waiting, over
/// any locks of flock(2): who waits is from the kernel's list, and what those
/// hold from that, from their descriptors, and from the tier stacks in their
/// environments. What can't be read is not suspected, and neither is a process
/// that has a thread at work. Told only if two looks show the same, and none of
/// them ran in between.
std::vector<DeadlockReport> deadlocks_of(const std::vector<pid_t>& concerned);

}  // namespace grex::core
