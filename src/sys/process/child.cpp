#include "sys/process/child.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>

#include "base/deadline.hpp"
#include "base/unique_fd.hpp"
#include "sys/process/shared_stop.hpp"
#include "sys/signal/terminal_signals_at_fork.hpp"

namespace grex::sys {
namespace {

// The lowest number that an inherited lock gets in the command. Shell scripts use 3 to 9
// themselves, and `exec 3>log` would close a lock there.
constexpr int first_inherited = 10;

// The only place that makes a descriptor inheritable: it copies it without
// close-on-exec, in the process that is about to exec. Async-signal-safe. Returns 0 or
// errno.
int make_inheritable(std::span<const int> descriptors) {
  for (const int fd : descriptors) {
    if (::fcntl(fd, F_DUPFD, first_inherited) >= 0) continue;
    // The limit on descriptors is lower than that: keep the present number.
    if (::fcntl(fd, F_SETFD, 0) < 0) return errno;
  }
  return 0;
}

// Asks the kernel to kill this process with its parent. Returns 0 or errno: ESRCH if that has
// ended already (PR_SET_PDEATHSIG in prctl(2)). Async-signal-safe.
int die_with(pid_t parent) {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  return ::getppid() == parent ? 0 : ESRCH;
}

// Returns only on failure, with errno. Async-signal-safe.
int exec_command(const Command& command) {
  const int err = make_inheritable(command.inherit);
  if (err != 0) return err;
  ::execvpe(command.argv[0], command.argv, command.envp);
  return errno;
}

Error exec_error(const Command& command, int err) {
  return {err == EMFILE || err == ENOMEM ? ErrorKind::system : ErrorKind::exec, "exec", command.argv[0], err};
}

// Starts the command by vfork(2), which copies no page tables. The child runs in our
// memory until it execs, so it can report why exec failed. Its only signal handlers are
// those of TerminalSignalsAtFork (this process has no others at this point), and it makes
// only async-signal-safe calls. Returns the process id, or -1 with errno; `exec_failure`
// is exec's errno.
[[gnu::noinline]] pid_t spawn(const Command& command, const ForwardedSignals& signals, volatile int& exec_failure) {
  // NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork): POSIX
  // allows only exec here; Linux allows whatever leaves the parent's memory intact.
  const pid_t parent = ::getpid();
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  TerminalSignalsAtFork::enter_child();
  signals.restore();
  const int err = command.dies_with_parent ? die_with(parent) : 0;
  exec_failure = err != 0 ? err : exec_command(command);
  ::_exit(127);
  // NOLINTEND(clang-analyzer-security.insecureAPI.vfork, clang-analyzer-unix.Vfork)
}

// Whether a shell with job control started us: such a shell puts us into a group of our
// own, and learns that we have stopped.
bool is_shell_job() {
  const pid_t parent = ::getppid();
  return ::getpgid(parent) != ::getpgrp() && ::getsid(parent) == ::getsid(0);
}

}  // namespace

Result<Child> Child::start(const Command& command, const ForwardedSignals& signals) {
  volatile int exec_failure = 0;
  pid_t pid = -1;
  int fork_failure = 0;
  {
    const TerminalSignalsAtFork terminal;
    pid = spawn(command, signals, exec_failure);
    fork_failure = errno;
    if (pid > 0 && TerminalSignalsAtFork::child_missed_stop()) ::kill(pid, SIGTSTP);
  }
  if (pid > 0 && exec_failure == 0) {
    Child child(pid, signals);
    child.arrived_ = TerminalSignalsAtFork::arrived();
    return child;
  }
  if (pid > 0) ::waitid(P_PID, static_cast<id_t>(pid), nullptr, WEXITED);
  if (pid < 0) return Error{ErrorKind::system, "fork", {}, fork_failure};
  return exec_error(command, exec_failure);
}

Result<ChildEnd> Child::wait(const ChildObserver& observer) {
  for (const ReceivedSignal& signal : arrived_) forward(signal, observer);
  const auto id = static_cast<id_t>(pid_);
  for (;;) {
    const auto signal = signals_.wait(next_due(observer.works));
    do_what_is_due(observer.works);
    if (!signal) continue;
    if (signal->number == SIGIO) {
      if (observer.news) observer.news();
      continue;
    }
    if (signal->number == SIGCONT) {
      continue_if_stopped();
      continue;
    }
    if (signal->number != SIGCHLD) {
      forward(*signal, observer);
      continue;
    }
    siginfo_t child{};
    if (::waitid(P_PID, id, &child, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0) {
      return Error{ErrorKind::system, "waitid", {}, errno};
    }
    if (child.si_pid == 0) {
      if (observer.other_child) observer.other_child();
      continue;
    }
    if (child.si_code == CLD_STOPPED) {
      follow_stop(child.si_status);
      continue;
    }
    return reap(child);
  }
}

void Child::forward(const ReceivedSignal& signal, const ChildObserver& observer) {
  if (is_ctrl_c(signal)) interrupted_ = true;
  if (const auto forwarded = ForwardedSignals::forward(signal, pid_); !forwarded) {
    observer.unforwarded(signal.number, forwarded.error());
  }
  const bool asks_to_end = std::find(end_requests.begin(), end_requests.end(), signal.number) != end_requests.end();
  if (!asks_to_end) return;
  asked_to_end_ = true;
  continue_if_stopped();  // a stopped process doesn't respond to the signal
}

ChildEnd Child::reap(const siginfo_t& child) const {
  ChildEnd end;
  end.status = child.si_status;
  end.killed = child.si_code != CLD_EXITED;
  end.from_terminal = interrupted_ && end.killed && end.status == SIGINT;
  end.asked_to_end = asked_to_end_;
  if (end.killed || end.asked_to_end) end.session = ::getsid(pid_);
  ::waitid(P_PID, static_cast<id_t>(pid_), nullptr, WEXITED);
  return end;
}

// If the command stops in the foreground, the shell that waits for us gets the terminal
// back only if we stop, too, and it then continues us.
void Child::follow_stop(int stop_signal) const {
  if (is_pending(SIGCONT)) return;  // the stop is over: we were stopped with the command
  const UniqueFd terminal(::open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!terminal.is_open()) return;
  const pid_t foreground = ::tcgetpgrp(terminal.get());
  const pid_t group = ::getpgid(pid_);
  if (foreground == group && group != ::getpgrp()) {
    // A shell that was suspended: Ctrl-Z would have stopped all of our group.
    stop_with_command(pid_, StopExtent::group);
  } else if (foreground == ::getpgrp() && stop_signal != SIGSTOP && is_shell_job()) {
    // A command that stopped itself. SIGSTOP would come from a process that continues it
    // later, but not us.
    stop_with_command(pid_, StopExtent::process);
  }
}

void Child::continue_if_stopped() const {
  siginfo_t child{};
  ::waitid(P_PID, static_cast<id_t>(pid_), &child, WSTOPPED | WNOHANG | WNOWAIT);
  if (child.si_pid != 0) ::kill(pid_, SIGCONT);
}

Error exec_in_place(const Command& command) { return exec_error(command, exec_command(command)); }

}  // namespace grex::sys
