#pragma once

#include <span>
#include <variant>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/child.hpp"

namespace grex::sys {

/// The half of a process that is to go on in the background when the other has
/// returned to the caller. Until it leaves, it belongs to the caller: it has its
/// terminal and its process group, gets the signals that are sent to the other
/// half, and dies with it.
class Background {
 public:
  /// For split(). `report` is a pipe to the other half.
  explicit Background(UniqueFd report) : report_(std::move(report)) {}

  /// Leaves the caller for good: a session of its own, the root directory, no
  /// descriptor of the caller's but those to keep, and /dev/null for 0, 1 and 2.
  /// The other half then ends. Errors: system; also where the other half is gone
  /// already, so that nobody knows of what was to go on (EPIPE).
  Result<void> leave(std::span<const int> keep);

 private:
  UniqueFd report_;
};

/// Splits the process (fork(2)), and returns in both halves: at once in the new
/// one; in this one when that has left or ended. Meanwhile SIGINT, SIGTERM and
/// SIGHUP that are sent to this half reach the other, once each. What this half
/// gets is what it is to end with: status 0 once the other has left, else how that
/// ended. Only for a process with one thread. Errors: system.
Result<std::variant<Background, ChildEnd>> split();

}  // namespace grex::sys
