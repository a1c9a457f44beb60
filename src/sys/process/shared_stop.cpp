#include "sys/process/shared_stop.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/deadline.hpp"
#include "base/unique_fd.hpp"
#include "sys/file/file.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/signal/signals.hpp"

namespace grex::sys {
namespace {

// The descriptors of the watcher; it has no others.
constexpr int command_fd = STDIN_FILENO;  // a pidfd
constexpr int status_fd = STDOUT_FILENO;  // /proc/PID/status of the stopped process
constexpr int stat_fd = STDERR_FILENO;    // /proc/PID/stat of the command

using Buffer = std::array<char, 8192>;

std::string_view read_into(Buffer& text, int fd) {
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  return {text.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

// Whether the command is stopped no more: another process has continued it alone.
bool command_runs() {
  Buffer text;
  const std::string_view stat = read_into(text, stat_fd);
  return !stat.empty() && !is_stopped(stat);
}

// Whether the stopped process was asked to end. It can't receive it, and the kernel announces neither this nor that the
// command continues to any process but their parents, so the watcher must look.
bool is_asked_to_end() {
  Buffer text;
  const std::uint64_t pending = parse_pending_signals(read_into(text, status_fd)).value_or(0);
  return std::any_of(end_requests.begin(), end_requests.end(),
                     [pending](int signal) { return (pending >> (signal - 1) & 1) != 0; });
}

// Runs in a child of ours until that is killed: a stopped process notices nothing itself.
// Makes only async-signal-safe calls.
[[noreturn]] void watch(const std::array<int, 3>& descriptors, pid_t parent, pid_t stopped) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  // This process must not keep the lock or the caller's pipes open.
  for (int fd = 0; fd < static_cast<int>(descriptors.size()); ++fd) {
    if (::dup2(descriptors[static_cast<std::size_t>(fd)], fd) < 0) ::_exit(0);
  }
  close_descriptors(stat_fd + 1, ~0U);
  constexpr std::chrono::milliseconds interval(100);
  while (!wait_for_end(command_fd, Deadline::clock::now() + interval) && !command_runs() && !is_asked_to_end()) {
  }
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
  const pid_t shown = pid_in_proc(process->get()).value_or(0);
  const UniqueFd status = open_at(AT_FDCWD, "/proc/self/status", O_RDONLY);
  const UniqueFd stat = open_at(AT_FDCWD, "/proc/" + std::to_string(shown) + "/stat", O_RDONLY);
  if (!status.is_open() || !stat.is_open()) return -1;
  const pid_t self = ::getpid();
  const pid_t watcher = ::fork();
  if (watcher == 0) watch({process->get(), status.get(), stat.get()}, self, stopped);
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
