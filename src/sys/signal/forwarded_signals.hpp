#pragma once

#include <signal.h>
#include <sys/types.h>

#include "sys/signal/signals.hpp"

namespace grex::sys {

/// The signals that people and supervisors send to grex-lock, but mean for the command
/// that it runs. They are blocked, awaited and forwarded. SIGCHLD and SIGCONT, which
/// concern that command, are blocked and awaited with them.
class ForwardedSignals {
 public:
  /// Blocks them in this process.
  static ForwardedSignals begin();

  /// Restores mask and actions from before begin(). Async-signal-safe: the child calls
  /// it, too, between fork and exec.
  void restore() const;

  /// Waits for the next of them.
  [[nodiscard]] ReceivedSignal wait() const;

  /// Forwards a signal to a process, unless the kernel has sent it there already: a
  /// signal to our process group reaches every process of the group.
  static void forward(const ReceivedSignal& signal, pid_t pid);

 private:
  ForwardedSignals() = default;
  sigset_t old_mask_{};
  struct sigaction old_child_action_ {};
};

}  // namespace grex::sys
