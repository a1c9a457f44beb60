#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/proc_locks.hpp"
#include "core/lock/target.hpp"

namespace grex::core {

/// Where this process waits for a lock.
struct Queue {
  std::vector<std::string> files;  ///< any of which would be the lock
  std::string line;                ///< of those who want a permit; empty: none
};
Queue queue_at(const Target& target);

/// Who stands before this process, as the kernel lists it: cheap to ask again
/// and again, unlike who those are.
struct Ahead {
  std::vector<KernelLock> holders;
  /// When each lock file was last written: a process that takes a lock again
  /// leaves another record. Since the epoch.
  std::vector<std::chrono::nanoseconds> written;
  /// How many processes wait before this one; nullopt where it is not listed.
  std::optional<std::size_t> waiters;
};
Ahead look_ahead(const Queue& queue);

}  // namespace grex::core
