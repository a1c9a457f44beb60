#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// Which numbers: those of this PID namespace, or those in /proc.
enum class Numbering { here, in_proc };

/// Whether a process is still there.
enum class Presence { running, zombie, gone, not_known };
Presence presence_of(pid_t pid, Numbering numbering);

/// The parent of a process, its parent, and so on, as far as /proc shows them, by their
/// numbers there. They end where a grex-lock has only adopted a process: it waits for its
/// command, not for what that has left behind.
std::vector<pid_t> ancestors(pid_t pid);

/// Whether the process with this number in /proc is this one, or above it.
bool is_us_or_above(pid_t pid);

/// The children of a process, from the oldest one, without the keepers of a cluster's locks.
std::vector<pid_t> children_but_keepers(pid_t pid);

/// Whether a process is our effective user's, or root's: what it has open may be trusted.
bool is_ours_or_roots(pid_t pid);

/// When a process started, in nanoseconds after boot, rounded down to a clock tick; as
/// CLOCK_BOOTTIME in our time namespace. nullopt if it can't be seen.
std::optional<std::int64_t> start_time_ns(pid_t pid);

/// How much later CLOCK_BOOTTIME is in our time namespace than in that of a process.
std::int64_t boot_offset_from(pid_t pid);

/// What the numbers of processes mean. Those in the stack belong to this PID namespace, if
/// its locks were taken in it: an ancestor outside has another number there. Those in /proc,
/// with the kernel's list of locks, may belong to one outside.
class ProcessNumbers {
 public:
  static ProcessNumbers read();

  /// Whether the entry's number belongs to this PID namespace.
  [[nodiscard]] bool are_comparable(const StackEntry& entry) const;

  /// Whether those in /proc do.
  [[nodiscard]] bool has_own_proc() const { return depth_ == 1; }

  /// Whether a process that has this number in /proc is in our PID namespace, or in one
  /// below, and in the session that has this number here; `not_known` if that can't be
  /// read. What is outside was not started from here.
  enum class Membership { no, yes, not_known };
  [[nodiscard]] Membership find_membership(pid_t in_proc, pid_t session) const;

  /// The number here of a process that has this one in /proc; 0 if it is outside, nullopt
  /// if that can't be known.
  [[nodiscard]] std::optional<pid_t> here(pid_t in_proc) const;

 private:
  std::size_t depth_ = 0;        // PID namespaces from that of /proc to ours
  std::vector<pid_t> sessions_;  // our session's numbers in them
  bool always_ = false;
  std::optional<std::int64_t> since_;  // for locks taken from then on
};

}  // namespace grex::core
