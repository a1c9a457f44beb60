#include "sys/signal/forwarded_signals.hpp"

#include <unistd.h>

#include <cerrno>

namespace grex::sys {
namespace {

sigset_t awaited_signals() {
  sigset_t set = set_of(termination_signals);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGCONT);
  sigaddset(&set, SIGIO);
  return set;
}

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

std::optional<ReceivedSignal> ForwardedSignals::next() { return take_signal(set_of(termination_signals)); }

std::optional<ReceivedSignal> ForwardedSignals::next_unignored() {
  auto signal = next();
  while (signal && is_ignored(signal->number)) signal = next();
  return signal;
}

std::optional<ReceivedSignal> ForwardedSignals::wait(std::optional<Deadline> deadline) const {
  const sigset_t awaited = awaited_signals();
  siginfo_t info{};
  for (;;) {
    const timespec left = to_timespec(deadline ? time_left(*deadline) : std::chrono::nanoseconds());
    const int signal = ::sigtimedwait(&awaited, &info, deadline ? &left : nullptr);
    if (signal > 0) return received_signal(signal, info.si_code);
    if (errno == EAGAIN) return std::nullopt;  // EINTR: stopped and continued
  }
}

Result<void> ForwardedSignals::forward(const ReceivedSignal& signal, pid_t pid) {
  const bool has_it = signal.to_group && ::getpgid(pid) == ::getpgrp();
  if (has_it || ::kill(pid, signal.number) == 0) return {};
  const int err = errno;
  return Error{err == EPERM ? ErrorKind::permission : ErrorKind::system, "kill", {}, err};
}

}  // namespace grex::sys
