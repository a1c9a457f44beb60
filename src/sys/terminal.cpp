#include "sys/terminal.hpp"

#include <signal.h>
#include <unistd.h>

namespace grex::sys {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

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

void suspend() { (void)::raise(SIGTSTP); }

}  // namespace grex::sys
