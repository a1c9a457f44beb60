#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "cli/report/failure.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::cli {

/// Where a report is shown.
struct ViewContext {
  std::optional<std::size_t> columns = {};  ///< of the terminal
  bool on_screen = false;                   ///< live: nothing else may be written there
  StopToken should_stop = never_stop;
};

/// Creates one report, as text.
using Snapshot = std::function<Result<std::string, Failure>(const ViewContext& context)>;

/// Shows a report on the terminal's alternate screen, and a new one after each interval,
/// until `q` or a signal; the first one must succeed.
Outcome watch_on_screen(std::chrono::nanoseconds interval, const Snapshot& snapshot);

/// Prints a report, and another one after each interval, until one fails.
Outcome watch_in_lines(std::chrono::nanoseconds interval, const Snapshot& snapshot);

}  // namespace grex::cli
