#pragma once

#include <optional>
#include <span>
#include <variant>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/process/child.hpp"

namespace grex::sys {

/// The half of a process that continues in the background after the other half has
/// returned to the caller. Until it begins a session of its own, it belongs to the
/// caller: it has the caller's terminal and process group, gets the signals that are
/// sent to the other half, and dies with it.
class Background {
 public:
  /// For fork_background(). `other` is a socket to the other half, `unusable` is from
  /// open_unusable().
  Background(UniqueFd other, UniqueFd unusable) : other_(std::move(other)), unusable_(std::move(unusable)) {}

  /// Begins a session of its own. The other half forwards no more signals: those that it
  /// got before have arrived here. Errors: system, if the other half is gone (EPIPE), or
  /// has not answered when `stop` is readable (ECANCELED): it may be stopped.
  Result<void> new_session(int stop);

  /// Detaches from the caller: changes to the root directory, closes all descriptors
  /// except those in `keep`, and makes 0, 1 and 2 unusable. Then the other half
  /// ends. Errors: system; also if the other half is gone, because the caller would not
  /// learn about this one.
  Result<void> detach(std::span<const int> keep);

 private:
  UniqueFd other_;
  UniqueFd unusable_;
};

/// How the wait for the background half ended, in the half that the caller waits for:
/// the background half has detached, or it ended before that.
struct Detached {};
using BackgroundEnd = std::variant<Detached, ChildEnd>;

/// Forks the process (fork(2)), and returns in both halves: immediately in the new
/// one; in the old one when the new one has detached or ended. Until then, a termination
/// signal that is sent only to the old one also reaches the new one, and the end of the caller is
/// a SIGTERM. Only for a process with one thread. Errors: system.
Result<std::variant<Background, BackgroundEnd>> fork_background();

}  // namespace grex::sys
