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

}  // namespace grex
