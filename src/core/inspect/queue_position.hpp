#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/proc_locks.hpp"
#include "core/lock/target.hpp"

namespace grex::core {

/// The files at which this process waits for a lock.
struct Queue {
  std::vector<std::string> files;  ///< any of which would be the lock
  std::string line;                ///< the queue's file, for slots; empty: none
};
Queue queue_at(const Target& target);

/// What is before this process, as the kernel lists it. This is cheap to read again and
/// again; finding out more about those processes is not.
struct QueuePosition {
  std::vector<KernelLock> holders;
  /// When each lock file was last written: a process that takes a lock again
  /// leaves another record. Since the epoch.
  std::vector<std::chrono::nanoseconds> written;
  /// How many processes wait before this one; nullopt if this one is not listed.
  std::optional<std::size_t> waiters;
};
QueuePosition read_queue_position(const Queue& queue);

}  // namespace grex::core
