#pragma once

#include <sys/types.h>

#include <optional>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::sys {

/// Opens a process: its number alone may name another process after its end
/// (pidfd_open(2)). The descriptor becomes readable when the process ends. Errors:
/// not-found (ESRCH: there is none), system.
Result<UniqueFd> open_process(pid_t pid);

/// The number of a process in /proc, which may be that of another PID namespace; -1 if it
/// has ended, 0 if it has none there; nullopt if that can't be read.
std::optional<pid_t> pid_in_proc(int pidfd);

/// Sends a signal to a process. If that has ended already, it is not an Error. Errors:
/// permission, system.
Result<void> signal_process(int pidfd, int signal);

/// Waits until a process has ended, or until the deadline; returns whether it has ended.
bool wait_for_end(int pidfd, std::optional<Deadline> deadline = std::nullopt);

/// Waits for the end of a child, too, and reaps it if it has ended by then.
void reap(int pidfd, Deadline deadline);

/// While this lives, a thread watches another process, and sends this one a SIGTERM when
/// it ends. For waits that only signals can end; the rest of the program must block
/// SIGTERM.
class ExitWatcher {
 public:
  /// Starts it; `pidfd` is borrowed while this lives. Errors: system.
  Result<void> start(int pidfd);

 private:
  WorkerThread thread_;
};

}  // namespace grex::sys
