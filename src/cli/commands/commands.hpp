#pragma once

#include "cli/args/command_line.hpp"
#include "cli/report/events.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

// One file each: run.cpp, probe.cpp, … Those that take locks open `events` once their
// options are known; dispatch() writes the event of a failure.
Outcome run(const CommandLine& line, Events& events);
Outcome probe(const CommandLine& line, Events& events);
Outcome status(const CommandLine& line, Events& events);
Outcome hold(const CommandLine& line, Events& events);
Outcome release(const CommandLine& line, Events& events);
Outcome wait(const CommandLine& line, Events& events);
Outcome fd(const CommandLine& line, Events& events);
Outcome stack(const CommandLine& line, Events& events);
Outcome tiers(const CommandLine& line, Events& events);

}  // namespace grex::cli
