#pragma once

#include <sys/types.h>

#include <compare>
#include <vector>

#include "sys/file/file.hpp"

namespace grex::core {

/// A process that waits in all threads, or in one that only its end sets free, and the locks
/// that it holds in the meantime.
struct WaitingProcess {
  pid_t pid = 0;
  std::vector<sys::FileId> waits_for;  ///< any one of these locks is enough
  std::vector<sys::FileId> holds;
};

/// A process in a cycle waits for a lock that the next one holds; the last one waits for
/// a lock that the first one holds.
struct Link {
  pid_t pid = 0;
  sys::FileId lock;
  auto operator<=>(const Link&) const = default;
};
using Cycle = std::vector<Link>;

struct Deadlock {
  Cycle cycle;               ///< the shortest one through the process with the lowest pid
  std::vector<pid_t> stuck;  ///< all that wait for it, directly or indirectly; ascending
};

/// Pure. A process is stuck if each lock that it waits for is held by a process that is
/// stuck, too. Returns one deadlock for each set of processes that wait for each other.
std::vector<Deadlock> find_deadlocks(const std::vector<WaitingProcess>& processes);

}  // namespace grex::core
