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
  std::array<Caught, 4> caught = {{{SIGINT}, {SIGQUIT}, {SIGHUP}, {SIGTSTP}}};
} at_fork;

extern "C" void note_or_take_effect(int number, siginfo_t* info, void*) {
  const int saved_errno = errno;
  for (Caught& caught : at_fork.caught) {
    if (caught.number != number) continue;
    const pid_t self = ::getpid();
    if (self != at_fork.parent && number == SIGTSTP) {
      at_fork.child_missed_stop = 1;
    } else if (self != at_fork.parent) {
      ::sigaction(number, &caught.old_action, nullptr);
      ::kill(self, number);  // acts when this handler returns
    } else {
      caught.code = info->si_code;
      caught.arrival = at_fork.has_child != 0 ? Arrival::after_fork : Arrival::before_fork;
    }
  }
  errno = saved_errno;
}

const Caught& stop() { return at_fork.caught.back(); }

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
  for (Caught& caught : at_fork.caught) {
    caught.arrival = Arrival::none;
    ::sigaction(caught.number, &note, &caught.old_action);
    if (caught.number != SIGTSTP) sigdelset(&mask, caught.number);
  }
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
}

TerminalSignalsAtFork::~TerminalSignalsAtFork() {
  ::sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
  for (const Caught& caught : at_fork.caught) ::sigaction(caught.number, &caught.old_action, nullptr);
  if (stop().arrival != Arrival::none) (void)::raise(SIGTSTP);
}

void TerminalSignalsAtFork::enter_child() {
  at_fork.has_child = 1;
  // exec gives a signal that is caught its default action.
  for (const Caught& caught : at_fork.caught) {
    if (caught.old_action.sa_handler == SIG_IGN) ::sigaction(caught.number, &caught.old_action, nullptr);
  }
}

bool TerminalSignalsAtFork::child_missed_stop() {
  const bool was_too_early = stop().arrival == Arrival::before_fork && stop().code == SI_KERNEL;
  return at_fork.child_missed_stop != 0 || was_too_early;
}

std::vector<ReceivedSignal> TerminalSignalsAtFork::arrived() {
  std::vector<ReceivedSignal> signals;
  for (const Caught& caught : at_fork.caught) {
    if (caught.arrival == Arrival::none || caught.number == SIGTSTP) continue;
    ReceivedSignal signal = received_signal(caught.number, caught.code);
    if (caught.arrival == Arrival::before_fork) signal.to_group = false;
    signals.push_back(signal);
  }
  return signals;
}

}  // namespace grex::sys
