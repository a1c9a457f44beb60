#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// A descriptor that is readable from a time of CLOCK_BOOTTIME on. That clock goes on while the
/// machine is suspended; time-outs of poll(2) stand still.
class BootTimerFd {
 public:
  /// Errors: system.
  static Result<BootTimerFd> create();

  /// In nanoseconds; a time that has passed is due immediately; nullopt: never. Replaces the
  /// one before.
  void set(std::optional<std::uint64_t> due) const;

  /// Borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit BootTimerFd(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace grex::sys
