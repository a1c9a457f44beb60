#pragma once

#include <optional>

#include "base/result.hpp"
#include "sys/lock/flock_wait.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {

/// What may end a vigil, beside a signal.
struct VigilEnds {
  std::optional<Deadline> deadline = {};
  int pidfd = -1;      ///< that process's end; -1: none; borrowed
  bool input = false;  ///< end of file on standard input
};

/// Sleeps until one of the signals that are held back has come, or another of the
/// ends. Of the standard input, what comes before its end is thrown away.
/// Errors: system, io (the input).
Result<void> keep_vigil(const HeldBackSignals& signals, const VigilEnds& ends);

}  // namespace grex::sys
