#include "sys/process/pidfd.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::sys {

// glibc has wrappers only since 2.36, and their header clashes with C++ in some
// releases.
Result<UniqueFd> open_process(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd.is_open()) return fd;
  const int err = errno;
  // EINVAL: the number is not that of a process, but 0, for example, or that of a thread.
  const bool is_none = err == ESRCH || err == EINVAL;
  return Error{is_none ? ErrorKind::not_found : ErrorKind::system, "pidfd_open", {}, err};
}

std::optional<pid_t> pid_in_proc(int pidfd) {
  return parse_opened_pid(process_file(own_process, "fdinfo/" + std::to_string(pidfd)).value_or(""));
}

Result<void> signal_process(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return {};
  const int err = errno;
  if (err == ESRCH) return {};
  return Error{err == EPERM ? ErrorKind::permission : ErrorKind::system, "pidfd_send_signal", {}, err};
}

bool wait_for_end(int pidfd, std::optional<Deadline> deadline) {
  pollfd ended = {pidfd, POLLIN, 0};
  int count = 0;
  do {
    count = ::poll(&ended, 1, milliseconds_left(deadline));
  } while (count < 0 && errno == EINTR);
  return count > 0;
}

void reap(int pidfd, Deadline deadline) {
  (void)wait_for_end(pidfd, deadline);
  ::waitid(P_PIDFD, static_cast<id_t>(pidfd), nullptr, WEXITED | WNOHANG);
}

Result<void> ExitWatcher::start(int pidfd) {
  return thread_.start([pidfd](int stop) {
    std::array<pollfd, 2> news = {{{stop, POLLIN, 0}, {pidfd, POLLIN, 0}}};
    while (::poll(news.data(), news.size(), -1) < 0 && errno == EINTR) {
    }
    if (news[0].revents == 0) ::kill(::getpid(), SIGTERM);
  });
}

}  // namespace grex::sys
