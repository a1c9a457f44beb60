#pragma once

#include <sys/types.h>

#include <vector>

#include "core/inspect/file_report.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::core {

/// The processes that work on with a lock which they inherited from a command that has
/// ended.
struct Remaining {
  std::vector<pid_t> pids;
  bool has_seen_lock = false;  ///< that one of them has, so that the lock is still held
  bool may_be_more = false;    ///< there may be others that could not be found

  [[nodiscard]] bool is_none() const { return pids.empty() && !may_be_more; }
};

/// The remaining processes that have one of these locks, or the write end of this pipe open,
/// unless that is -1. `session` is the command's, by
/// its number in this PID namespace; -1 if it is not known. Only those of the command's
/// session count, which a daemon has left; so does one that can't be read, unless it is
/// older than this process. If /proc hides those of other users, there may be more. Waits
/// for up to 100 ms for them to end: they may have got the same signal as the command.
/// Stops after a second if there is too much to read.
Remaining remaining_processes(const std::vector<HeldLock>& locks, pid_t session, int pipe = -1);

/// Describes processes that have a lock open. May block in the kernel for as long as one of
/// them does.
std::vector<LockProcess> describe_holders(const std::vector<pid_t>& pids, sys::Mode mode);

}  // namespace grex::core
