#include "sys/lock/flock_wait.hpp"

#include <sys/file.h>

#include <cerrno>

#include "sys/lock/flock_wait_any.hpp"
#include "sys/signal/interruptions.hpp"

namespace grex::sys {

Result<WaitEnd> wait_lock(LockFile& file, Mode mode, std::optional<Deadline> deadline) {
  Interruptions interruptions;
  // A limit on queued signals (ulimit -i) may allow no timer. A thread needs none.
  const bool needs_thread = file.is_leased || !interruptions.arm(deadline);
  if (needs_thread) {
    const auto any = wait_any(std::span(&file, 1), mode, deadline);
    return any ? Result(any->end) : any.error();
  }
  const int fd = file.fd.get();
  const int operation = mode == Mode::exclusive ? LOCK_EX : LOCK_SH;
  WaitEnd end;
  while (!Interruptions::received()) {
    if (has_passed(deadline)) {
      end.outcome = Acquire::timed_out;
      break;
    }
    if (::flock(fd, operation) == 0) {
      end.outcome = Acquire::held;
      break;
    }
    const int err = errno;
    if (err != EINTR) return flock_error(err);
  }
  Interruptions::stop_listening();
  const auto signal = Interruptions::received();
  if (!signal) return end;
  if (end.outcome == Acquire::held) (void)unlock(fd);
  return WaitEnd{Acquire::cancelled, *signal};
}

}  // namespace grex::sys
