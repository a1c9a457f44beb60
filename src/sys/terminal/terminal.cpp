#include "sys/terminal/terminal.hpp"

#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "sys/signal/signals.hpp"

namespace grex::sys {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

unsigned columns_of(int terminal) {
  constexpr unsigned usual = 80;
  winsize size{};
  return ::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : usual;
}

unsigned rows_of(int terminal) {
  constexpr unsigned usual = 24;
  winsize size{};
  return ::ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : usual;
}

bool is_in_foreground_of(int terminal) { return ::tcgetpgrp(terminal) == ::getpgrp(); }

void die_of(int signal) {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
  sigset_t only_it;
  sigemptyset(&only_it);
  sigaddset(&only_it, signal);
  ::sigprocmask(SIG_UNBLOCK, &only_it, nullptr);
  (void)::raise(signal);
}

HeldBackStop::HeldBackStop() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  sigset_t old;
  ::sigprocmask(SIG_BLOCK, nullptr, &old);
  if (is_ignored(SIGTSTP) || sigismember(&old, SIGTSTP) == 1) return;
  fd_.reset(::signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK));
  if (fd_.is_open()) ::sigprocmask(SIG_BLOCK, &stop, nullptr);
}

HeldBackStop::~HeldBackStop() {
  if (!fd_.is_open()) return;
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);  // a pending one stops us here
}

}  // namespace grex::sys
