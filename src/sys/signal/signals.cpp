#include "sys/signal/signals.hpp"

#include <string.h>
#include <unistd.h>

#include <algorithm>

namespace grex::sys {
namespace {

struct sigaction set_default_action(int signal) {
  struct sigaction action {};
  struct sigaction old {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, &old);
  return old;
}

}  // namespace

sigset_t set_of(std::initializer_list<int> signals) { return set_of(std::span(signals.begin(), signals.size())); }

sigset_t set_of(std::span<const int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

void block_signals(const sigset_t& signals) { ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); }

bool is_termination_signal(int number) {
  return std::find(termination_signals.begin(), termination_signals.end(), number) != termination_signals.end();
}

std::string name_of_signal(int signal) {
  if (const char* const name = ::sigabbrev_np(signal)) return std::string("SIG") + name;
  const bool is_realtime = SIGRTMIN <= signal && signal <= SIGRTMAX;
  return is_realtime ? "SIGRTMIN+" + std::to_string(signal - SIGRTMIN) : "signal " + std::to_string(signal);
}

bool is_ignored(int signal) {
  struct sigaction action {};
  ::sigaction(signal, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

bool is_blocked(int signal) {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return sigismember(&mask, signal) == 1;
}

bool is_pending(int signal) {
  sigset_t pending;
  ::sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

sigset_t unignored_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : termination_signals) {
    if (!is_ignored(signal)) sigaddset(&set, signal);
  }
  return set;
}

ReceivedSignal received_signal(int number, int code) {
  const bool from_terminal = code == SI_KERNEL;
  const bool to_leader_alone = from_terminal && number == SIGHUP && ::getsid(0) == ::getpid();
  return {number, from_terminal, from_terminal && !to_leader_alone};
}

std::optional<ReceivedSignal> take_signal(const sigset_t& signals) {
  siginfo_t info{};
  constexpr timespec now = {0, 0};
  const int signal = ::sigtimedwait(&signals, &info, &now);
  return signal > 0 ? std::optional(received_signal(signal, info.si_code)) : std::nullopt;
}

std::optional<ReceivedSignal> take_termination_signal() {
  sigset_t pending;
  ::sigpending(&pending);
  if (sigisemptyset(&pending) == 1) return std::nullopt;
  return take_signal(unignored_signals());
}

bool is_ctrl_c(const ReceivedSignal& signal) { return signal.number == SIGINT && signal.from_terminal; }

void restore_sigterm() { set_default_action(SIGTERM); }

struct sigaction keep_child_status() {
  return set_default_action(SIGCHLD);
}

void kill_self(int signal) {
  set_default_action(signal);
  const sigset_t only_it = set_of({signal});
  ::sigprocmask(SIG_UNBLOCK, &only_it, nullptr);
  (void)::raise(signal);
}

void stop_self() {
  const sigset_t stop = set_of({SIGTSTP});
  (void)::raise(SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // the process is stopped here, until SIGCONT
  ::sigprocmask(SIG_BLOCK, &stop, nullptr);
}

}  // namespace grex::sys
