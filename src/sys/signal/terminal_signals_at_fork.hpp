#pragma once

#include <signal.h>

#include <array>
#include <vector>

#include "sys/signal/signals.hpp"

namespace grex::sys {

/// The signals that a terminal sends to its foreground group, while this process starts a
/// child by vfork(2): whether one of them has reached the child, too, must be known before
/// it is forwarded.
///
/// A signal that is blocked can't tell. So SIGINT, SIGQUIT and SIGHUP, which the caller has
/// blocked, and SIGTSTP are caught while this lives. The kernel doesn't fork before a signal that has
/// arrived is handled, and gives one that is sent to the group during the fork to both
/// (copy_process in kernel/fork.c).
///
/// A SIGTSTP (Ctrl-Z) that reaches the child before exec would stop it, and with it this
/// process, which no signal reaches until then. So the child only notes it. One that reaches
/// this process stops it when this object ends.
///
/// Only one exists at a time: handlers know no other. Other threads must block these signals.
class TerminalSignalsAtFork {
 public:
  TerminalSignalsAtFork();
  ~TerminalSignalsAtFork();
  TerminalSignalsAtFork(const TerminalSignalsAtFork&) = delete;
  TerminalSignalsAtFork& operator=(const TerminalSignalsAtFork&) = delete;

  /// The child's first call: from here on, a signal acts on it as on any process, except
  /// SIGTSTP. Async-signal-safe.
  static void enter_child();

  /// Whether a Ctrl-Z must be sent to the child: it has only noted it, or came after it.
  static bool child_missed_stop();

  /// The signals that the last of these has caught. To be called after its end, or one that
  /// arrives in between is lost. One that came before the fork was `to_group`, but not to the
  /// child.
  static std::vector<ReceivedSignal> arrived();

 private:
  sigset_t old_mask_{};
};

}  // namespace grex::sys
