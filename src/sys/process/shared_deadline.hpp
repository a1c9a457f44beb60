#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace grex::sys {

/// A time of CLOCK_BOOTTIME, in nanoseconds, that two processes share: one writes it, and both
/// read it without waiting. 0 at first. A memfd of 8 bytes, whose size no process can change.
class SharedDeadline {
 public:
  /// Errors: system.
  static Result<SharedDeadline> create();

  /// That of another process. Errors: system (EINVAL: it is none).
  static Result<SharedDeadline> open(UniqueFd fd);

  /// Another object for the same time, for another thread. Errors: system.
  [[nodiscard]] Result<SharedDeadline> share() const;

  SharedDeadline(SharedDeadline&& other) noexcept;
  SharedDeadline& operator=(SharedDeadline&& other) noexcept;
  SharedDeadline(const SharedDeadline&) = delete;
  SharedDeadline& operator=(const SharedDeadline&) = delete;
  ~SharedDeadline();

  [[nodiscard]] std::uint64_t load() const;
  void store(std::uint64_t deadline) const;

  /// For the other process; borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  SharedDeadline(UniqueFd fd, std::uint64_t* shared) : fd_(std::move(fd)), shared_(shared) {}

  UniqueFd fd_;
  std::uint64_t* shared_;  // mapped; null after a move
};

}  // namespace grex::sys
