#include "sys/signal/forwarded_signals.hpp"

#include <unistd.h>

namespace grex::sys {
namespace {

// SIGCHLD and SIGCONT are awaited, too, but not forwarded.
sigset_t awaited_signals() { return set_of({SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2, SIGCHLD, SIGCONT}); }

}  // namespace

ForwardedSignals ForwardedSignals::begin() {
  ForwardedSignals signals;
  const sigset_t awaited = awaited_signals();
  ::sigprocmask(SIG_BLOCK, &awaited, &signals.old_mask_);
  signals.old_child_action_ = keep_child_status();
  return signals;
}

void ForwardedSignals::restore() const {
  ::sigaction(SIGCHLD, &old_child_action_, nullptr);
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
}

ReceivedSignal ForwardedSignals::wait() const {
  const sigset_t awaited = awaited_signals();
  siginfo_t info{};
  int signal = -1;
  while (signal < 0) signal = ::sigwaitinfo(&awaited, &info);  // EINTR: stopped and continued
  return received_signal(signal, info.si_code);
}

void ForwardedSignals::forward(const ReceivedSignal& signal, pid_t pid) {
  const bool has_it = signal.to_group && ::getpgid(pid) == ::getpgrp();
  if (!has_it) ::kill(pid, signal.number);
}

}  // namespace grex::sys
