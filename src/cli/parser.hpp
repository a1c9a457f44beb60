#pragma once

#include <optional>
#include <string>

#include "cli/failure.hpp"
#include "cli/invocation.hpp"

namespace CLI {
class App;
}

namespace grex::cli {

/// What --help says before and after the options; neither ends with a newline.
void set_help(CLI::App& app, const std::string& usage, const std::string& examples);

/// The command line into the options that were added to `app`. An Outcome means
/// that the command ends here: --help, --version (both have been printed then),
/// or a usage error.
std::optional<Outcome> parse(CLI::App& app, const Invocation& invocation);

}  // namespace grex::cli
