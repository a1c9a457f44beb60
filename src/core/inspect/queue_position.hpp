#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/proc_locks.hpp"
#include "core/lock/target.hpp"

namespace grex::core {

/// The files that this process waits for.
struct FileQueue {
  std::vector<sys::LockFileName> files;         ///< the lock files, any one of which is the lock
  std::optional<sys::LockFileName> queue_file;  ///< for slots; else the gate, if there is one
  std::optional<sys::LockFileName> record;      ///< the file with the holder's record, if it is another one
};
FileQueue queue_at(const Target& target, const TargetFile& file);

/// What is ahead of this process, as the kernel lists it. It is cheap to read repeatedly;
/// finding out more about those processes is not.
struct QueuePosition {
  std::vector<KernelLock> holders;
  /// When each file with a record was last written, since the epoch: a process that takes a
  /// lock again writes another one.
  std::vector<std::chrono::nanoseconds> written;
  /// How many processes wait before this one; nullopt if this one is not listed.
  std::optional<std::size_t> waiters;
  std::uint64_t changes = 0;  ///< of a cluster's queue: how often it has changed
};

/// If it should stop, the position may be unknown although this process is listed.
QueuePosition read_queue_position(const FileQueue& queue, const StopToken& should_stop = never_stop);

}  // namespace grex::core
