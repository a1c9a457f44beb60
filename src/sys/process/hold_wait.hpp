#pragma once

#include <functional>
#include <optional>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/stop_token.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::sys {

/// What may end a hold, apart from a signal.
struct HoldEnds {
  std::optional<Deadline> deadline = {};
  int pidfd = -1;         ///< the end of that process; -1: none; borrowed
  bool input = false;     ///< end of file on standard input
  TimedWorks works = {};  ///< done until then
  int news = -1;          ///< when it is readable, `take_news` reads it; -1: none; borrowed
  std::function<void()> take_news = {};
  StopToken should_end = never_stop;  ///< asked after each of these
};

/// Sleeps until one of the blocked signals has arrived, or one of `ends` has happened.
/// Receives these signals. Discards what it reads from standard input before the end of file.
/// Errors: system, io (the input).
Result<void> wait_until_released(const BlockedSignals& signals, const HoldEnds& ends);

}  // namespace grex::sys
