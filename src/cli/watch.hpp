#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "cli/failure.hpp"

namespace grex::cli {

/// Makes a report for so many columns; none: for as many as it needs.
using Look = std::function<std::variant<std::string, Failure>(std::optional<std::size_t> columns)>;

/// Shows a report on a terminal's other screen, anew after each interval, until
/// `q` or a signal; the first one has to succeed.
Outcome watch_on_screen(std::chrono::nanoseconds interval, const Look& look);

/// Prints one report after the other, until one can't be made or printed.
Outcome watch_in_lines(std::chrono::nanoseconds interval, const Look& look);

}  // namespace grex::cli
