#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/result.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::sys {

/// How a wait for one of several locks ended.
struct AnyEnd {
  WaitEnd end;
  std::size_t index = 0;  ///< with Acquire::held, which of the descriptors
};

/// As wait_lock, but for whichever of the locks comes free first; it alone is
/// held then. A thread waits in each lock's queue: so it is the unlocking that
/// wakes us, whoever does it and however. (The kernel's news of a file's closing
/// come before its unlocking, and there are none of an explicit unlocking, nor
/// of what other hosts do.) No thread is left when it returns. It returns
/// `suspended` when `stop` (HeldBackStop::fd; -1: none) is readable, so that the
/// caller can let go of what others wait for before it stops.
Result<AnyEnd> wait_any(std::span<const int> fds, Mode mode, std::optional<Deadline> deadline, int stop = -1);

}  // namespace grex::sys
