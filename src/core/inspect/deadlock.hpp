#pragma once

#include <sys/types.h>

#include <compare>
#include <vector>

#include "sys/file/file.hpp"

namespace grex::core {

/// A process all of whose threads wait, and what it keeps from others meanwhile.
struct WaitingProcess {
  pid_t pid = 0;
  std::vector<sys::FileId> waits_for;  ///< any one of these locks would do
  std::vector<sys::FileId> holds;
};

/// A process in a cycle waits for a lock that the next one holds; the last, for
/// one of the first's.
struct Link {
  pid_t pid = 0;
  sys::FileId lock;
  auto operator<=>(const Link&) const = default;
};
using Cycle = std::vector<Link>;

struct Deadlock {
  Cycle cycle;               ///< the shortest through the process of the lowest number
  std::vector<pid_t> stuck;  ///< all who wait, in the end, for one in it; ascending
};

/// Pure. A process is stuck while each lock that would do is held by one that is
/// stuck too. One deadlock for each set of processes that wait for each other.
std::vector<Deadlock> find_deadlocks(const std::vector<WaitingProcess>& processes);

}  // namespace grex::core
