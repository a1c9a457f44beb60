#pragma once

#include <optional>
#include <span>
#include <variant>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/process/child.hpp"

namespace grex::sys {

/// The half of a process that is to go on in the background when the other has
/// returned to the caller. Until it settles, it belongs to the caller: it has its
/// terminal and its process group, gets the signals that are sent to the other
/// half, and dies with it.
class Background {
 public:
  /// For split(). `other` is a socket to the other half, `nothing` /dev/null.
  Background(UniqueFd other, UniqueFd nothing) : other_(std::move(other)), nothing_(std::move(nothing)) {}

  /// Begins a session of its own. The other half hands on no more signals:
  /// what it was sent has arrived here. Errors: system, where that half is gone
  /// (EPIPE), or where it has not answered when `unless` is readable (ECANCELED):
  /// it may be stopped.
  Result<void> settle(int unless);

  /// Leaves the caller for good: the root directory, no descriptor of the
  /// caller's but those to keep, and /dev/null for 0, 1 and 2. The other half
  /// then ends. Errors: system; also where that is gone, so that nobody knows of
  /// what was to go on.
  Result<void> leave(std::span<const int> keep);

 private:
  UniqueFd other_;
  UniqueFd nothing_;
};

/// How the other half's time ended for the one that the caller waits for: it has
/// left, or it has ended before that.
struct Left {};
using BackgroundEnd = std::variant<Left, ChildEnd>;

/// Splits the process (fork(2)), and returns in both halves: at once in the new
/// one; in this one when that has left or ended. Meanwhile SIGINT, SIGTERM and
/// SIGHUP that are sent to this half alone reach the other. Only for a process
/// with one thread. Errors: system.
Result<std::variant<Background, BackgroundEnd>> split();

}  // namespace grex::sys
