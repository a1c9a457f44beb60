#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"

namespace grex::sys {

/// A process by its number and its start time, which a later process with this number does not
/// have.
struct NumberedProcess {
  pid_t pid = 0;
  std::uint64_t started = 0;
  auto operator<=>(const NumberedProcess&) const = default;
};

/// What /proc shows of a process that has not ended.
struct RunningProcess {
  pid_t parent = 0;
  std::uint64_t started = 0;
};

/// The processes that have not ended, from /proc.
std::map<pid_t, RunningProcess> running_processes();

/// Those of them that are below one of the roots, without the roots, and without `others` and
/// what is below these. A zombie has a parent above it that is alive, so those that have ended
/// matter to none.
std::vector<NumberedProcess> descendants_of(std::span<const pid_t> roots, const std::set<NumberedProcess>& others,
                                            const std::map<pid_t, RunningProcess>& running);

/// The children of a process: `descendants_of` leaves out what is below them, if they are `others`.
/// Reads no other process if the kernel lists children (CONFIG_PROC_CHILDREN).
std::set<NumberedProcess> children_with_start(pid_t parent);

/// Opens a process whose number has not become another one's since it was listed. Not open if
/// it has ended.
UniqueFd open_numbered(const NumberedProcess& process);

}  // namespace grex::sys
