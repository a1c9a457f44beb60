#include "sys/process/helper_program.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/unique_fd.hpp"
#include "sys/file/file.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {
namespace {

// Async-signal-safe.
void reset_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Gives each descriptor its number, and closes all others. They must have larger numbers before.
// Returns 0 or errno. Async-signal-safe.
int arrange(const std::vector<UniqueFd>& descriptors, int unusable) {
  for (int number = STDIN_FILENO; number < first_of_helper; ++number) {
    if (::dup2(unusable, number) < 0) return errno;
  }
  int number = first_of_helper;
  for (const UniqueFd& fd : descriptors) {
    if (::dup2(fd.get(), number++) < 0) return errno;
  }
  return ::close_range(static_cast<unsigned>(number), ~0U, 0) == 0 ? 0 : errno;
}

// As spawn in child.cpp. `failure` is errno of what failed in the child.
[[gnu::noinline]] pid_t spawn(const char* program, const std::vector<UniqueFd>& descriptors, int unusable,
                              char* const* envp, volatile int& failure) {
  std::string name = program;
  char* const argv[] = {name.data(), nullptr};
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork): as there
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  reset_signals();
  ::setsid();
  int err = arrange(descriptors, unusable);
  if (err == 0) {
    ::execve(program, argv, envp);
    err = errno;
  }
  failure = err;
  ::_exit(127);
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork)
}

}  // namespace

Result<pid_t> start_helper(const std::string& program, std::span<const int> descriptors, char* const* envp) {
  const int above = first_of_helper + static_cast<int>(descriptors.size());
  const auto unusable = open_unusable();
  if (!unusable) return unusable.error();
  std::vector<UniqueFd> copies;
  for (const int fd : descriptors) {
    copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, above));
    if (!copies.back().is_open()) return Error{ErrorKind::system, "fcntl", {}, errno};
  }
  volatile int failure = 0;
  pid_t pid = -1;
  int fork_failure = 0;
  {
    sigset_t all;
    sigfillset(&all);
    const SignalBlock no_handler_in_child(all);
    pid = spawn(program.c_str(), copies, unusable->get(), envp, failure);
    fork_failure = errno;
  }
  if (pid < 0) return Error{ErrorKind::system, "fork", {}, fork_failure};
  if (failure == 0) return pid;
  ::waitid(P_PID, static_cast<id_t>(pid), nullptr, WEXITED);
  return Error{ErrorKind::exec, "exec", program, failure};
}

}  // namespace grex::sys
