#pragma once

#include <chrono>
#include <functional>

#include "base/deadline.hpp"

namespace grex {

/// A long operation calls it from time to time, and stops if it returns true, because the
/// result is no longer needed.
using StopToken = std::function<bool()>;
inline bool never_stop() { return false; }

/// Stops once this time has passed from now on.
inline StopToken stop_after(std::chrono::nanoseconds limit) {
  return [deadline = Deadline::clock::now() + limit] { return Deadline::clock::now() >= deadline; };
}

/// Stops as another one does, but not in the first few calls: for steps of which a few are
/// taken even if there is no time left. `should_stop` is borrowed.
inline StopToken after_first_few(const StopToken& should_stop) {
  constexpr int few = 4;
  return [&should_stop, calls = 0]() mutable { return ++calls > few && should_stop(); };
}

}  // namespace grex
