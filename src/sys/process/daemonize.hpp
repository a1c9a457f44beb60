#pragma once

#include <optional>
#include <span>
#include <variant>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/process/child.hpp"

namespace grex::sys {

/// The half of a process that goes on in the background after the other half has
/// returned to the caller. Until it begins a session of its own, it belongs to the
/// caller: it has the caller's terminal and process group, gets the signals that are
/// sent to the other half, and dies with it.
class Background {
 public:
  /// For fork_background(). `other` is a socket to the other half, `nothing` /dev/null.
  Background(UniqueFd other, UniqueFd nothing) : other_(std::move(other)), nothing_(std::move(nothing)) {}

  /// Begins a session of its own. The other half forwards no more signals: what was
  /// sent to it has arrived here. Errors: system, if the other half is gone (EPIPE),
  /// or has not answered when `stop` is readable (ECANCELED): it may be stopped.
  Result<void> new_session(int stop);

  /// Leaves the caller for good: changes to the root directory, closes all of the
  /// caller's descriptors but those to keep, and makes 0, 1 and 2 /dev/null. Then the
  /// other half ends. Errors: system; also if the other half is gone, so that the
  /// caller would not learn what goes on.
  Result<void> detach(std::span<const int> keep);

 private:
  UniqueFd other_;
  UniqueFd nothing_;
};

/// What became of the background half, for the half that the caller waits for: it has
/// detached itself, or it ended before that.
struct Detached {};
using BackgroundEnd = std::variant<Detached, ChildEnd>;

/// Forks the process (fork(2)), and returns in both halves: immediately in the new
/// one; in the old one when the new one has detached or ended. Until then, SIGINT,
/// SIGTERM and SIGHUP that are sent to the old one alone reach the new one. Only for
/// a process with one thread. Errors: system.
Result<std::variant<Background, BackgroundEnd>> fork_background();

}  // namespace grex::sys
