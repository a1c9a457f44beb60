#pragma once

#include <optional>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "sys/lock/flock.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {

/// How a wait ended.
struct WaitEnd {
  Acquire outcome = Acquire::busy;
  ReceivedSignal signal = {};  ///< with Acquire::cancelled, the one that ended it
};

/// Waits in the kernel's queue for the lock, until it is held, the deadline has passed
/// (none: never), or a termination signal arrives that was not ignored when grex-lock
/// began. Unless the lock is held, nothing remains that could still take it. A leased file
/// is opened first, and if the lock is held, `file` is that open one.
/// Never returns `busy`. Installs handlers for those signals and for a timer: only for
/// one thread at a time. Errors: as try_lock and open_leased, and system.
Result<WaitEnd> wait_lock(LockFile& file, Mode mode, std::optional<Deadline> deadline);

}  // namespace grex::sys
