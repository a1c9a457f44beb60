#pragma once

#include <time.h>

#include <cstdint>

namespace grex {

/// CLOCK_BOOTTIME, in nanoseconds: the clock of the start times in /proc/PID/stat.
inline std::uint64_t boot_clock_now() {
  struct timespec now {};
  (void)::clock_gettime(CLOCK_BOOTTIME, &now);
  constexpr std::uint64_t second = 1'000'000'000;
  return static_cast<std::uint64_t>(now.tv_sec) * second + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace grex
