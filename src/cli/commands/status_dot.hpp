#pragma once

#include <string>

#include "cli/commands/status_report.hpp"

namespace grex::cli {

/// The graph of waits, as Graphviz DOT: an arrow from each waiter to its lock, and one
/// from the lock to each holder; a deadlock is red.
std::string status_dot(const StatusReport& report);

}  // namespace grex::cli
