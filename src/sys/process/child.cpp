#include "sys/process/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/unique_fd.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {
namespace {

constexpr std::array<int, 6> forwarded_signals = {SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2};

// The lowest number that an inherited lock gets in the command. Shell scripts
// use 3 to 9 for their own, and `exec 3>log` would close a lock there.
constexpr int first_inherited = 10;

// The one place where a descriptor becomes inheritable: a copy without
// close-on-exec, made in the process that is about to exec. Async-signal-safe.
// Returns 0 or errno.
int make_inheritable(std::span<const int> descriptors) {
  for (const int fd : descriptors) {
    if (::fcntl(fd, F_DUPFD, first_inherited) >= 0) continue;
    // A limit on descriptors as low as that: the number it has must do.
    if (::fcntl(fd, F_SETFD, 0) < 0) return errno;
  }
  return 0;
}

// Never returns a success. Async-signal-safe. The value is errno.
int exec_command(const Command& command) {
  const int err = make_inheritable(command.inherit);
  if (err != 0) return err;
  ::execvpe(command.argv[0], command.argv, command.envp);
  return errno;
}

Error exec_error(const Command& command, int err) {
  return {err == EMFILE || err == ENOMEM ? ErrorKind::system : ErrorKind::exec, "exec", command.argv[0], err};
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : forwarded_signals) sigaddset(&set, signal);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGCONT);
  return set;
}

// Starts the command by vfork(2), which copies no page tables and whose child
// runs in our memory until it execs, so that it can tell us why it could not.
// The child's own signal handlers are none (this process has installed none
// that are still there), and it calls only what is async-signal-safe.
// Returns the process id, or -1 with errno; `exec_failure` is exec's errno.
[[gnu::noinline]] pid_t spawn(const Command& command, const sigset_t& mask, const struct sigaction& on_child,
                              volatile int& exec_failure) {
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork): POSIX
  // allows nothing but exec here; Linux, all that keeps off the parent's memory.
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  ::sigaction(SIGCHLD, &on_child, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  exec_failure = exec_command(command);
  ::_exit(127);
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork)
}

}  // namespace

Result<Child> Child::start(const Command& command) {
  const sigset_t handled = handled_signals();
  sigset_t inherited_mask;
  ::sigprocmask(SIG_BLOCK, &handled, &inherited_mask);
  // With SIGCHLD ignored, the kernel would throw the exit status away.
  struct sigaction keep_status {};
  struct sigaction inherited_action {};
  keep_status.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &keep_status, &inherited_action);

  volatile int exec_failure = 0;
  const pid_t pid = spawn(command, inherited_mask, inherited_action, exec_failure);
  const int fork_failure = errno;
  if (pid > 0 && exec_failure == 0) return Child(pid);

  if (pid > 0) ::waitid(P_PID, static_cast<id_t>(pid), nullptr, WEXITED);
  ::sigaction(SIGCHLD, &inherited_action, nullptr);
  ::sigprocmask(SIG_SETMASK, &inherited_mask, nullptr);
  if (pid < 0) return Error{ErrorKind::system, "fork", {}, fork_failure};
  return exec_error(command, exec_failure);
}

Result<ChildEnd> Child::wait() {
  const sigset_t handled = handled_signals();
  const auto id = static_cast<id_t>(pid_);
  for (;;) {
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&handled, &info);
    if (signal < 0) continue;  // EINTR: stopped and continued
    if (signal == SIGCONT) {
      continue_if_stopped();
    } else if (signal != SIGCHLD) {
      forward(signal, info.si_code);
    } else {
      siginfo_t child{};
      if (::waitid(P_PID, id, &child, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0) {
        return Error{ErrorKind::system, "waitid", {}, errno};
      }
      if (child.si_pid == 0) continue;
      if (child.si_code == CLD_STOPPED) {
        follow_stop();
        continue;
      }
      ::waitid(P_PID, id, &child, WEXITED);
      const bool killed = child.si_code != CLD_EXITED;
      return ChildEnd{child.si_status, killed, interrupted_ && killed && child.si_status == SIGINT};
    }
  }
}

// What went to our group the command has already, unless it left the group.
void Child::forward(int signal, int code) {
  if (code == SI_KERNEL && signal == SIGINT) interrupted_ = true;
  if (went_to_group(signal, code) && ::getpgid(pid_) == ::getpgrp()) return;
  ::kill(pid_, signal);
}

// A command that stops in the foreground gives the terminal back to the shell
// only if we, whom the shell waits for, stop too. Where nothing could continue
// us (no job control, an orphaned group) the kernel discards SIGTSTP.
void Child::follow_stop() const {
  sigset_t pending;
  ::sigpending(&pending);
  if (sigismember(&pending, SIGCONT) == 1) return;  // over already: we were stopped with it
  const UniqueFd terminal(::open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!terminal.is_open()) return;
  const pid_t foreground = ::tcgetpgrp(terminal.get());
  if (foreground == ::getpgrp() || foreground == ::getpgid(pid_)) ::kill(::getpid(), SIGTSTP);
}

void Child::continue_if_stopped() const {
  siginfo_t child{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &child, WSTOPPED | WNOHANG | WNOWAIT);
  if (child.si_pid != 0) ::kill(pid_, SIGCONT);
}

Error exec_in_place(const Command& command) { return exec_error(command, exec_command(command)); }

}  // namespace grex::sys
