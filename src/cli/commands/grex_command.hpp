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
};

/// Finds a command of grex in these words, or in the string of `SHELL -c STRING`, if that is
/// nothing but simple words. nullopt if it is another command, one that takes no lock, or
/// under another program, such as sudo. Pure.
std::optional<GrexCommand> find_grex_command(const std::vector<std::string>& words);

/// If the command needs a lock that is to be taken, or that an ancestor has, prints a warning with
/// a way that works. `shown` is the command as the user wrote it, from `--` or `-c` on.
void warn_about_grex(const GrexCommand& command, const std::vector<std::string>& shown, const Plan& plan);

}  // namespace grex::cli
