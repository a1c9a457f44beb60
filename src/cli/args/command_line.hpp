#pragma once

#include <string>
#include <vector>

namespace grex::cli {

/// A command line, split before its options are parsed.
struct CommandLine {
  std::string verb;                    ///< the command; empty if none is given
  std::vector<std::string> arguments;  ///< all other words; with `run`, those before `--`
  /// With `run`, the words after `--`, ending with a null pointer; null without `--`.
  /// Borrowed from main's argv.
  char* const* wrapped = nullptr;
  bool json = false;  ///< --json was given anywhere: needed for errors before options are parsed

  /// Whether every word is a PATH, so that there is nothing to parse: defining the
  /// options takes longer than everything else that a command does.
  [[nodiscard]] bool has_only_paths() const;
};

CommandLine split_command_line(int argc, char* const* argv);

}  // namespace grex::cli
