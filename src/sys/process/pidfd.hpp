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

/// Sends it a signal. One that has ended already is no Error. Errors:
/// permission, system.
Result<void> signal_process(int pidfd, int signal);

/// Waits until it has ended.
void wait_for_end(int pidfd);

/// While this lives, this process gets a SIGTERM when another one ends: a thread
/// watches it. For the waits that look at signals only; the rest has to hold
/// SIGTERM back.
class EndWatch {
 public:
  /// Begins; `pidfd` is borrowed until the watch is over. Errors: system.
  Result<void> start(int pidfd);

 private:
  SideThread thread_;
};

}  // namespace grex::sys
