#pragma once

#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::sys {

/// A process by itself rather than by its number, which another may get when it
/// has ended (pidfd_open(2)). The descriptor becomes readable when it ends.
/// Errors: not-found (ESRCH: there is none), system.
Result<UniqueFd> open_process(pid_t pid);

/// Sends it a signal. A process that has ended already is no Error. Errors:
/// permission, system.
Result<void> signal_process(int pidfd, int signal);

/// Waits until it has ended.
void wait_for_end(int pidfd);

/// While this lives, this process gets a SIGTERM when another one ends: a thread
/// watches it. For waits that only signals can end; the rest of the program must
/// block SIGTERM.
class ExitWatcher {
 public:
  /// Starts it; `pidfd` is borrowed while this lives. Errors: system.
  Result<void> start(int pidfd);

 private:
  WorkerThread thread_;
};

}  // namespace grex::sys
