#include "sys/process/shared_stop.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {
namespace {

// Runs in a child of ours until that is killed: a stopped process notices nothing itself.
// Makes only async-signal-safe calls.
[[noreturn]] void continue_at_end(int command, pid_t parent, pid_t stopped) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  // Our copies of the lock and of the caller's pipes are no concern of this process.
  if (::dup2(command, STDIN_FILENO) == STDIN_FILENO) ::close_range(STDIN_FILENO + 1, ~0U, 0);
  wait_for_end(STDIN_FILENO);
  for (;;) {
    ::kill(stopped, SIGCONT);
    // It may have come too early: SIGTSTP discards a SIGCONT that is pending.
    constexpr int pause_ms = 10;
    ::poll(nullptr, 0, pause_ms);
  }
}

// `stopped` is as in kill(2). Returns -1 if there can be no watcher.
pid_t start_watcher(pid_t command, pid_t stopped) {
  const auto process = open_process(command);
  if (!process) return -1;
  const pid_t self = ::getpid();
  const pid_t watcher = ::fork();
  if (watcher == 0) continue_at_end(process->get(), self, stopped);
  return watcher;
}

}  // namespace

void stop_with_command(pid_t command, StopExtent extent) {
  const pid_t stopped = extent == StopExtent::group ? -::getpgrp() : ::getpid();
  pid_t watcher = -1;
  {
    const SignalBlock deferred(set_of({SIGTSTP}));  // inherited by the watcher, which must not stop
    watcher = start_watcher(command, stopped);
    // The stop may be over by now, and then this process must not stop either.
    if (!is_pending(SIGCONT)) ::kill(stopped, SIGTSTP);
  }  // this process is stopped here, until SIGCONT
  if (watcher < 0) return;
  ::kill(watcher, SIGKILL);
  while (::waitpid(watcher, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace grex::sys
