#pragma once

#include <string>

#include "cli/commands/status_report.hpp"

namespace grex::cli {

/// The document of `status --json`; one line, newline included.
std::string status_document(const StatusReport& report);

}  // namespace grex::cli
