#include "sys/process/boot_timer_fd.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/deadline.hpp"

namespace grex::sys {

Result<BootTimerFd> BootTimerFd::create() {
  UniqueFd fd(::timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.is_open()) return Error{ErrorKind::system, "timerfd_create", {}, errno};
  return BootTimerFd(std::move(fd));
}

void BootTimerFd::set(std::optional<std::uint64_t> due) const {
  // A time of 0 disarms it.
  const std::chrono::nanoseconds at(due ? std::max<std::uint64_t>(*due, 1) : 0);
  const struct itimerspec once = {{}, to_timespec(at)};
  (void)::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &once, nullptr);
}

}  // namespace grex::sys
