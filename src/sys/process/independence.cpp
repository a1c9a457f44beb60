#include "sys/process/independence.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/file/file.hpp"

namespace grex::sys {

void become_independent(int last) {
  ::prctl(PR_SET_DUMPABLE, 0);
  (void)::setsid();  // fails if it leads a session already
  for (const int signal :
       {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU}) {
    (void)::signal(signal, SIG_IGN);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)::chdir("/");
  close_descriptors(static_cast<unsigned>(last) + 1, ~0U);
  const auto unusable = open_unusable();
  for (int stream = STDIN_FILENO; unusable && stream <= STDERR_FILENO; ++stream) ::dup2(unusable->get(), stream);
}

bool is_stream_socket(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

}  // namespace grex::sys
