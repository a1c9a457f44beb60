#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "cli/report/failure.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::cli {

/// The place for which a report is made.
struct ViewContext {
  std::optional<std::size_t> columns = {};  ///< of the terminal
  bool on_screen = false;                   ///< live, so that nothing else may be written there
  core::StopToken should_stop = core::never_stop;
};

/// Makes one report, as text.
using Snapshot = std::function<Result<std::string, Failure>(const ViewContext& context)>;

/// Shows a report on a terminal's other screen, and again after each interval, until
/// `q` or a signal; the first one must succeed.
Outcome watch_on_screen(std::chrono::nanoseconds interval, const Snapshot& snapshot);

/// Prints one report after the other, until one can't be made or printed.
Outcome watch_in_lines(std::chrono::nanoseconds interval, const Snapshot& snapshot);

}  // namespace grex::cli
