#include "sys/process/boot_timer.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/deadline.hpp"

namespace grex::sys {

Result<BootTimer> BootTimer::create() {
  struct sigevent event {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGIO;
  timer_t timer{};
  if (::timer_create(CLOCK_BOOTTIME, &event, &timer) != 0) return Error{ErrorKind::system, "timer_create", {}, errno};
  return BootTimer(timer);
}

BootTimer::BootTimer(BootTimer&& other) noexcept : timer_(std::exchange(other.timer_, std::nullopt)) {}

BootTimer& BootTimer::operator=(BootTimer&& other) noexcept {
  std::swap(timer_, other.timer_);
  return *this;
}

BootTimer::~BootTimer() {
  if (timer_) ::timer_delete(*timer_);
}

void BootTimer::set(std::uint64_t due) const {
  // A time of 0 would disarm it.
  const std::chrono::nanoseconds at(std::max<std::uint64_t>(due, 1));
  const struct itimerspec once { {}, to_timespec(at) };
  (void)::timer_settime(*timer_, TIMER_ABSTIME, &once, nullptr);
}

}  // namespace grex::sys
