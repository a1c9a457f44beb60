#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/locking/plan.hpp"

namespace grex::cli {

/// A command of grex that takes locks, as far as its words show that.
struct GrexCommand {
  std::string verb;
  std::string workspace = {};              ///< of --workspace; empty if that is not given
  std::vector<std::string> operands = {};  ///< the words behind the verb that are no options
  std::string line = {};                   ///< the whole command, as typed in a shell
};

/// Finds a command of grex in these words, or in the string of `SHELL -c STRING`: the first one in
/// its list of commands, up to one with quotes or expansions, or a `cd`. nullopt if there is none,
/// if it takes no lock, or if it is under another program, such as sudo.
std::optional<GrexCommand> find_grex_command(const std::vector<std::string>& words);

/// If the command needs a lock that is to be taken, or that an ancestor has, prints a warning with
/// a way that works.
void warn_about_grex(const GrexCommand& command, const Plan& plan);

}  // namespace grex::cli
