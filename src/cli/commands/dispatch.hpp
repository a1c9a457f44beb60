#pragma once

#include <string_view>

#include "cli/args/command_line.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {

/// Runs the command that the line names, or says why there is none. A failure has been
/// written to the command's events, and must still be reported.
Outcome dispatch(const CommandLine& line);

/// The stream to which a command of this name writes a failure with --json: stderr if
/// stdout belongs to the command that it runs, or to what holds its locks.
Stream json_errors_of(std::string_view verb);

}  // namespace grex::cli
