#include "sys/signal/interruptions.hpp"

#include <time.h>

#include <cerrno>
#include <cstddef>

namespace grex::sys {
namespace {

// The time between two interruptions. The timer doesn't fire before the first.
constexpr long repeat_ns = 1'000'000;

// Written by the handler only.
volatile sig_atomic_t caught_signal = 0;
volatile sig_atomic_t caught_code = 0;
timer_t interrupting_timer;

// A realtime signal: SIGALRM may be a deadline that the caller set by alarm(2)
// before it started grex-lock.
int timer_signal() { return SIGRTMIN; }

// Not a realtime signal: only a limited number of those can be pending, and then
// sending fails (signal(7)).
constexpr int thread_signal = SIGURG;

extern "C" void on_termination_signal(int signal, siginfo_t* info, void*) {
  const int saved = errno;
  if (caught_signal == 0) {
    caught_code = info->si_code;
    caught_signal = signal;
  }
  const itimerspec again = {{0, repeat_ns}, {0, repeat_ns}};
  ::timer_settime(interrupting_timer, 0, &again, nullptr);
  errno = saved;
}

extern "C" void on_interruption(int) {}  // its only effect is EINTR

struct sigaction interrupting_action() {
  struct sigaction action {};
  action.sa_handler = on_interruption;
  sigemptyset(&action.sa_mask);
  return action;
}

}  // namespace

Result<void> Interruptions::arm(std::optional<Deadline> deadline) {
  caught_signal = 0;
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = timer_signal();
  if (::timer_create(CLOCK_MONOTONIC, &event, &interrupting_timer) != 0) {
    return Error{ErrorKind::system, "timer_create", {}, errno};
  }
  is_armed_ = true;
  install_handlers();
  if (!deadline) return {};
  const itimerspec at = {{0, repeat_ns}, to_timespec(*deadline)};
  if (::timer_settime(interrupting_timer, TIMER_ABSTIME, &at, nullptr) != 0) {
    return Error{ErrorKind::system, "timer_settime", {}, errno};
  }
  return {};
}

void Interruptions::install_handlers() {
  sigset_t let_through = set_of({timer_signal()});
  const struct sigaction timer_action = interrupting_action();
  ::sigaction(timer_signal(), &timer_action, &old_timer_action_);

  struct sigaction action {};
  action.sa_sigaction = on_termination_signal;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < termination_signals.size(); ++i) {
    const int signal = termination_signals.at(i);
    ::sigaction(signal, nullptr, &old_actions_.at(i));
    if (old_actions_.at(i).sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
    sigaddset(&let_through, signal);
  }
  ::sigprocmask(SIG_UNBLOCK, &let_through, &old_mask_);
}

Interruptions::~Interruptions() {
  if (!is_armed_) return;
  // The timer comes first: a signal that it has queued is handled on return from this
  // call, so its default action, which kills, never happens.
  ::timer_delete(interrupting_timer);
  ::sigaction(timer_signal(), &old_timer_action_, nullptr);
  for (std::size_t i = 0; i < termination_signals.size(); ++i) {
    ::sigaction(termination_signals.at(i), &old_actions_.at(i), nullptr);
  }
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
}

std::optional<ReceivedSignal> Interruptions::received() {
  if (caught_signal == 0) return std::nullopt;
  return received_signal(caught_signal, caught_code);
}

void Interruptions::stop_listening() {
  const sigset_t signals = set_of(termination_signals);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
}

ThreadInterrupter::ThreadInterrupter() : block_(set_of({thread_signal})) {
  const struct sigaction action = interrupting_action();
  ::sigaction(thread_signal, &action, &old_action_);
}

ThreadInterrupter::~ThreadInterrupter() { ::sigaction(thread_signal, &old_action_, nullptr); }

void ThreadInterrupter::allow_here() {
  const sigset_t interrupting = set_of({thread_signal});
  ::pthread_sigmask(SIG_UNBLOCK, &interrupting, nullptr);
}

void ThreadInterrupter::interrupt(pthread_t thread) { ::pthread_kill(thread, thread_signal); }

}  // namespace grex::sys
