#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/commands/status_report.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {

enum class Colored { no, yes };
/// How to format the text.
struct TextStyle {
  Colored colored = Colored::no;
  /// verbose: also absent locks, and all details.
  Verbosity verbosity = Verbosity::normal;
  std::optional<std::size_t> columns = {};  ///< of the terminal; longer lines are cut
};

/// For people: deadlocks first, then one line for each lock, with its holders and
/// waiters below it. Empty if there is nothing to report.
std::string status_text(const StatusReport& report, const TextStyle& style);

}  // namespace grex::cli
