#pragma once

#include <time.h>

#include <algorithm>
#include <chrono>
#include <optional>

namespace grex {

/// An instant on the monotonic clock.
using Deadline = std::chrono::steady_clock::time_point;

/// The time left until a deadline, in milliseconds, rounded up and at most a day;
/// -1 without a deadline, which means "no timeout" to poll(2).
inline int milliseconds_left(std::optional<Deadline> deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Deadline::clock::now()).count();
  constexpr std::chrono::milliseconds::rep longest = std::chrono::milliseconds(std::chrono::hours(24)).count();
  return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left, 0, longest));
}

/// For calls that take a duration.
inline timespec to_timespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {static_cast<time_t>(seconds.count()), static_cast<long>((time - seconds).count())};
}

/// For calls that take a time of CLOCK_MONOTONIC.
inline timespec to_timespec(Deadline deadline) { return to_timespec(deadline.time_since_epoch()); }

/// The time left until a deadline; 0 if it has passed.
inline std::chrono::nanoseconds time_left(Deadline deadline) {
  return std::max<std::chrono::nanoseconds>(deadline - Deadline::clock::now(), {});
}

/// Whether there is a deadline that has passed.
inline bool has_passed(std::optional<Deadline> deadline) { return deadline && Deadline::clock::now() >= *deadline; }

/// The first of two deadlines, each of which may be missing.
inline std::optional<Deadline> earlier_of(std::optional<Deadline> a, std::optional<Deadline> b) {
  return a && b ? std::min(*a, *b) : a ? a : b;
}

/// The time that has passed since an instant.
inline std::chrono::milliseconds elapsed_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace grex
