#include "sys/signal/terminal_signals_at_fork.hpp"

#include <unistd.h>

#include <cerrno>

namespace grex::sys {
namespace {

enum Arrival : sig_atomic_t { none, before_fork, after_fork };

struct Caught {
  int number = 0;
  struct sigaction old_action {};
  volatile sig_atomic_t arrival = Arrival::none;
  volatile sig_atomic_t code = 0;  // its si_code
};

// What the handlers write: parent and child share it until exec.
struct {
  pid_t parent = 0;
  volatile sig_atomic_t has_child = 0;
  volatile sig_atomic_t child_missed_stop = 0;
  std::array<Caught, 3> caught = {{{SIGINT}, {SIGQUIT}, {SIGHUP}}};
} at_fork;

extern "C" void note_stop_in_child(int) { at_fork.child_missed_stop = 1; }

extern "C" void note_or_take_effect(int number, siginfo_t* info, void*) {
  const int saved_errno = errno;
  for (Caught& caught : at_fork.caught) {
    if (caught.number != number) continue;
    if (const pid_t self = ::getpid(); self != at_fork.parent) {
      ::sigaction(number, &caught.old_action, nullptr);
      ::kill(self, number);  // acts when this handler returns
    } else {
      caught.code = info->si_code;
      caught.arrival = at_fork.has_child != 0 ? Arrival::after_fork : Arrival::before_fork;
    }
  }
  errno = saved_errno;
}

}  // namespace

TerminalSignalsAtFork::TerminalSignalsAtFork() {
  at_fork.parent = ::getpid();
  at_fork.has_child = 0;
  at_fork.child_missed_stop = 0;
  struct sigaction note {};
  note.sa_sigaction = note_or_take_effect;
  note.sa_flags = SA_SIGINFO;
  ::sigprocmask(SIG_SETMASK, nullptr, &old_mask_);
  sigset_t mask = old_mask_;
  sigaddset(&mask, SIGTSTP);
  for (Caught& caught : at_fork.caught) {
    caught.arrival = Arrival::none;
    ::sigaction(caught.number, &note, &caught.old_action);
    sigdelset(&mask, caught.number);
  }
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

TerminalSignalsAtFork::~TerminalSignalsAtFork() {
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  for (const Caught& caught : at_fork.caught) ::sigaction(caught.number, &caught.old_action, nullptr);
}

void TerminalSignalsAtFork::enter_child() const {
  at_fork.has_child = 1;
  struct sigaction note {};
  struct sigaction old {};
  note.sa_handler = note_stop_in_child;
  ::sigaction(SIGTSTP, &note, &old);
  if (old.sa_handler == SIG_IGN) ::sigaction(SIGTSTP, &old, nullptr);
  // exec gives a signal that is caught its default action.
  for (const Caught& caught : at_fork.caught) {
    if (caught.old_action.sa_handler == SIG_IGN) ::sigaction(caught.number, &caught.old_action, nullptr);
  }
}

bool TerminalSignalsAtFork::child_missed_stop() { return at_fork.child_missed_stop != 0; }

std::vector<ReceivedSignal> TerminalSignalsAtFork::arrived() {
  std::vector<ReceivedSignal> signals;
  for (const Caught& caught : at_fork.caught) {
    if (caught.arrival == Arrival::none) continue;
    ReceivedSignal signal = received_signal(caught.number, caught.code);
    if (caught.arrival == Arrival::before_fork) signal.to_group = false;
    signals.push_back(signal);
  }
  return signals;
}

}  // namespace grex::sys
