#pragma once

#include <string>
#include <vector>

#include "cli/status_report.hpp"
#include "core/inspect.hpp"

namespace grex::cli {

enum class Colored { no, yes };

/// Who holds a lock, since when, running what, with its note: one line, without
/// the newline. Says so where that can't be known.
std::string holder_line(const std::vector<core::Party>& holders, core::UtcTime now);

/// One aligned line a lock, for people.
std::string status_text(const StatusReport& report, Colored colored);

}  // namespace grex::cli
