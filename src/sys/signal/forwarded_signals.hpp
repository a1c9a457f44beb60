#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {

/// The termination signals, which people and supervisors send to grex-lock, but mean for
/// the command that it runs. They are blocked, awaited and forwarded. SIGCHLD and SIGCONT,
/// which concern that command, and SIGIO, which says that a descriptor with O_ASYNC or a
/// BootTimer has news, are blocked and awaited with them.
class ForwardedSignals {
 public:
  /// Blocks them in this process.
  static ForwardedSignals begin();

  /// Restores mask and actions from before begin(). Async-signal-safe.
  void restore() const;

  /// Waits for the next of them; nullopt if the deadline has passed.
  [[nodiscard]] std::optional<ReceivedSignal> wait(std::optional<Deadline> deadline) const;

  /// Receives a termination signal that has already arrived, even if it was ignored when
  /// grex-lock began; nullopt if there is none.
  static std::optional<ReceivedSignal> next();

  /// The same, but discards those that were ignored: there is no command yet that could
  /// get them.
  static std::optional<ReceivedSignal> next_unignored();

  /// Forwards a signal to a process, unless the kernel has sent it there already: a
  /// signal to our process group reaches every process of the group. Errors: permission
  /// (the process has become another user's), system.
  static Result<void> forward(const ReceivedSignal& signal, pid_t pid);

 private:
  ForwardedSignals() = default;
  sigset_t old_mask_{};
  struct sigaction old_child_action_ {};
};

}  // namespace grex::sys
