#pragma once

#include <time.h>

#include <cstdint>
#include <optional>

#include "base/result.hpp"

namespace grex::sys {

/// Sends SIGIO to this process at a time of CLOCK_BOOTTIME. That clock goes on while the
/// machine is suspended; time-outs of sigtimedwait(2) and poll(2) stand still.
class BootTimer {
 public:
  /// Errors: system.
  static Result<BootTimer> create();
  BootTimer(BootTimer&& other) noexcept;
  BootTimer& operator=(BootTimer&& other) noexcept;
  BootTimer(const BootTimer&) = delete;
  BootTimer& operator=(const BootTimer&) = delete;
  ~BootTimer();

  /// In nanoseconds; a time that has passed is due immediately. Replaces the one before.
  void set(std::uint64_t due) const;

 private:
  explicit BootTimer(timer_t timer) : timer_(timer) {}
  std::optional<timer_t> timer_;
};

}  // namespace grex::sys
