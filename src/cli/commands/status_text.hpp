#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/commands/status_report.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {

enum class Colored { no, yes };
/// How a text looks.
struct TextStyle {
  Colored colored = Colored::no;
  /// normal: what says something, no lock that has no file yet; verbose: all that is
  /// known.
  Verbosity verbosity = Verbosity::normal;
  std::optional<std::size_t> columns = {};  ///< of the terminal; longer lines are cut
};

/// For people: a line a lock, with its holders and waiters below it, deadlocks first.
/// Empty if there is nothing to report.
std::string status_text(const StatusReport& report, const TextStyle& style);

}  // namespace grex::cli
