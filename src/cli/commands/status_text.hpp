#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/commands/status_report.hpp"

namespace grex::cli {

enum class Colored { no, yes };
enum class Telling {
  briefly,     ///< what says something: no lock that has no file yet
  everything,  ///< all that is known
};

/// For whom a text is.
struct TextStyle {
  Colored colored = Colored::no;
  Telling telling = Telling::briefly;
  std::optional<std::size_t> columns = {};  ///< of the terminal; longer lines are cut
};

/// For people: a line a lock, with its holders and those who wait below it, the
/// deadlocks first. Empty if there is nothing to tell.
std::string status_text(const StatusReport& report, const TextStyle& style);

}  // namespace grex::cli
