#pragma once

#include <chrono>
#include <cstdint>

namespace grex::core {

/// When a lease that can't be renewed makes grex-lock and its keeper act, in nanoseconds of
/// CLOCK_BOOTTIME. `deadline` is the end of the lease, `ttl` its whole length.
constexpr std::uint64_t percent_before(std::uint64_t deadline, std::chrono::nanoseconds ttl, int percent) {
  const auto left = static_cast<std::uint64_t>(ttl.count() / 100 * percent);
  return deadline > left ? deadline - left : 0;
}

/// SIGTERM to the command: 40 % are left.
constexpr std::uint64_t term_time(std::uint64_t deadline, std::chrono::nanoseconds ttl) {
  return percent_before(deadline, ttl, 40);
}

/// SIGKILL to all its processes: 7 % are left.
constexpr std::uint64_t kill_time(std::uint64_t deadline, std::chrono::nanoseconds ttl) {
  return percent_before(deadline, ttl, 7);
}

}  // namespace grex::core
