#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "cli/report/failure.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::cli {

/// For whom a report is made.
struct Viewer {
  std::optional<std::size_t> columns = {};  ///< of the terminal
  bool on_screen = false;                   ///< live, so that nothing else may be written there
  core::GivesUp gives_up = core::never;
};
using Look = std::function<std::variant<std::string, Failure>(const Viewer& viewer)>;

/// Shows a report on a terminal's other screen, anew after each interval, until
/// `q` or a signal; the first one has to succeed.
Outcome watch_on_screen(std::chrono::nanoseconds interval, const Look& look);

/// Prints one report after the other, until one can't be made or printed.
Outcome watch_in_lines(std::chrono::nanoseconds interval, const Look& look);

}  // namespace grex::cli
