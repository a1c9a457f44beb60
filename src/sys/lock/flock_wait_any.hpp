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
  std::size_t index = 0;  ///< with Acquire::held, that of the locked file
};

/// As wait_lock, but for any one of the locks, and only that one is held then. A thread
/// waits in each lock's queue, so that every unlock wakes us, whatever process or call
/// caused it. (inotify reports that a file is closed before the kernel unlocks it, and
/// reports neither an explicit unlock nor what other hosts do.) No thread remains when it
/// returns. It returns `suspended` when `stop` (DeferredStop::fd; -1: none) is readable,
/// so that the caller can release what other processes wait for before it stops.
Result<AnyEnd> wait_any(std::span<LockFile> files, Mode mode, std::optional<Deadline> deadline, int stop = -1);

}  // namespace grex::sys
