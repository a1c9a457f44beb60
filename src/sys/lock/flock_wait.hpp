#pragma once

#include <chrono>
#include <optional>

#include "base/result.hpp"
#include "sys/lock/flock.hpp"

namespace grex::sys {

/// An instant on the monotonic clock.
using Deadline = std::chrono::steady_clock::time_point;

/// The time left until then, in milliseconds, rounded up; at most a day; -1, which
/// poll(2) takes for no end, without a deadline.
int milliseconds_left(std::optional<Deadline> deadline);

/// How a wait ended. With Acquire::cancelled, which signal ended it.
struct WaitEnd {
  Acquire outcome = Acquire::busy;
  int signal = 0;
  bool from_terminal = false;  ///< the kernel sent it, to the whole foreground group
};

/// Waits in the kernel's queue for the lock, until it is held, the deadline
/// (none: never) has passed, or SIGINT, SIGTERM or SIGHUP arrives that was not
/// ignored when grex-lock began. Unless held, nothing is left that could still
/// take it. Never `busy`. For one thread at a time, in a process that lets this
/// function handle those signals. Errors: as try_lock, and system.
Result<WaitEnd> wait_lock(int fd, Mode mode, std::optional<Deadline> deadline);

}  // namespace grex::sys
