#pragma once

#include <string>
#include <vector>

#include "cli/commands/status_report.hpp"
#include "core/lock/layout.hpp"

namespace grex::cli {

/// Where the locks that a user looks for may be, if the report on these paths has none: the
/// pack around a directory, the locked workspace above a pack, or the packs of a workspace. A
/// line for people, or nothing.
std::string status_hints(const StatusReport& report, const std::vector<std::string>& paths,
                         const core::Layouts& layouts, const StopToken& should_stop);

}  // namespace grex::cli
