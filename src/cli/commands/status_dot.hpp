#pragma once

#include <string>

#include "cli/commands/status_report.hpp"

namespace grex::cli {

/// Who waits for whom, in the language of Graphviz (DOT): an arrow from who waits
/// to the lock, and one from the lock to who holds it; what is in a deadlock is
/// red.
std::string status_graph(const StatusReport& report);

}  // namespace grex::cli
