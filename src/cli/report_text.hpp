#pragma once

#include <string>
#include <vector>

#include "cli/status_report.hpp"
#include "core/inspect.hpp"

namespace grex::cli {

enum class Colored { no, yes };

/// Whether a line tells, beside how long a lock has been held, since when.
enum class Since { told, left_out };

/// Who holds a lock, since when, running what, with its note: one line, without
/// the newline. Says so where that can't be known.
std::string holder_line(const std::vector<core::Party>& holders, core::UtcTime now, Since since = Since::told);

/// One aligned line a lock, for people.
std::string status_text(const StatusReport& report, Colored colored);

}  // namespace grex::cli
