#pragma once

#include <string_view>

#include "cli/args/command_line.hpp"
#include "cli/report/events.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {

/// Runs the command that the line names. A Failure has been written to the command's
/// events, and must still be reported; an unknown command is one, too.
Outcome dispatch(const CommandLine& line, Events& events);

/// The stream to which a command of this name writes a failure with --json: stderr if
/// stdout is for CMD (`run`) or for the announcement of the locks (`hold`).
Stream json_errors_of(std::string_view verb);

}  // namespace grex::cli
