#pragma once

#include <sys/types.h>

#include <vector>

#include "core/inspect/file_report.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::core {

/// The remaining processes: those that work on with one of these locks, which they
/// inherited from a command that has ended. Only processes of its session count, which a
/// daemon has left, and all of those that can't be read. Waits for up to 100 ms for them to
/// end: they may have got the same signal as the command.
std::vector<LockProcess> remaining_processes(const std::vector<HeldLock>& locks, pid_t session);

}  // namespace grex::core
