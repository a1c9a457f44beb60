#pragma once

#include <signal.h>
#include <sys/types.h>

#include "sys/signal/signals.hpp"

namespace grex::sys {

/// The signals that people and supervisors send to grex-lock and that belong to the
/// command that it runs: blocked from here on, to be waited for and forwarded. With
/// them come SIGCHLD and SIGCONT, which are about that command.
class ForwardedSignals {
 public:
  /// Blocks them in this process.
  static ForwardedSignals begin();

  /// Gives mask and actions back as they were before begin(). Async-signal-safe: it
  /// is also what the command itself calls, between fork and exec.
  void restore() const;

  /// Waits for the next of them.
  [[nodiscard]] ReceivedSignal wait() const;

  /// Sends one on to a process, unless the kernel has sent it there already: what
  /// went to our process group reached every process of the group.
  static void forward(const ReceivedSignal& signal, pid_t pid);

 private:
  ForwardedSignals() = default;
  sigset_t old_mask_{};
  struct sigaction old_child_action_ {};
};

}  // namespace grex::sys
