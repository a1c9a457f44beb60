#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// The parent of this process, its parent, and so on, as far as /proc shows them.
std::vector<pid_t> ancestors();

/// When a process started, in nanoseconds after boot, rounded down to a clock tick; as
/// CLOCK_BOOTTIME in our time namespace. nullopt if it can't be seen.
std::optional<std::int64_t> start_time_ns(pid_t pid);

/// How much later CLOCK_BOOTTIME is in our time namespace than in that of a process.
std::int64_t boot_offset_from(pid_t pid);

/// Whose numbers the stack has: those of this PID namespace, if its locks were taken in it.
/// An ancestor outside has another number there, which may be that of another process here.
class ProcessNumbers {
 public:
  static ProcessNumbers read();

  /// Whether the entry's number means the same process in /proc and in the kernel's list.
  [[nodiscard]] bool are_comparable(const StackEntry& entry) const;

 private:
  bool always_ = false;
  std::optional<std::int64_t> since_;  // for locks taken from then on
};

}  // namespace grex::core
