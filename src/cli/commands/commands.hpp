#pragma once

#include "cli/args/command_line.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// Runs the command that the line names, or tells why there is none.
Outcome dispatch(const Invocation& invocation);

// One file each: run.cpp, probe.cpp, …
Outcome run(const Invocation& invocation);
Outcome probe(const Invocation& invocation);
Outcome status(const Invocation& invocation);
Outcome hold(const Invocation& invocation);
Outcome release(const Invocation& invocation);
Outcome wait(const Invocation& invocation);
Outcome fd(const Invocation& invocation);
Outcome stack(const Invocation& invocation);
Outcome tiers(const Invocation& invocation);

}  // namespace grex::cli
