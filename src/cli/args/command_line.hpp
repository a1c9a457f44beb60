#pragma once

#include <string>
#include <vector>

namespace grex::cli {

/// A command line, split in the places that matter before options are known.
struct CommandLine {
  std::string verb;                    ///< the command named; empty if none
  std::vector<std::string> arguments;  ///< the rest; with `run` up to `--`
  /// With `run`, what follows `--`, ending with a null pointer; null without
  /// `--`. Borrowed from main's argv.
  char* const* wrapped = nullptr;
  bool json = false;  ///< --json was given, wherever: errors need it before options are parsed

  /// Whether every word is a PATH as it stands, so that there is nothing to parse:
  /// making the options for it would take longer than all else that a command does.
  [[nodiscard]] bool has_only_paths() const;
};

CommandLine split_command_line(int argc, char* const* argv);

}  // namespace grex::cli
