#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace grex::cli {

/// A command line, split before its options are parsed.
struct CommandLine {
  std::string verb;                    ///< the command; empty if none is given
  std::vector<std::string> arguments;  ///< all other words; with `run`, those before `--`
  std::size_t before_verb = 0;         ///< how many of them stand before the command
  /// With `run`, the words after `--`, ending with a null pointer; null without `--`.
  /// Borrowed from main's argv.
  char* const* wrapped = nullptr;
  bool json = false;  ///< --json was given anywhere: needed for errors before options are parsed

  /// Whether every word is a PATH, so that there is nothing to parse: defining the
  /// options takes longer than everything else that a command does.
  [[nodiscard]] bool has_only_paths() const;

  /// The places in `arguments` of the words that are neither options nor their values.
  [[nodiscard]] std::vector<std::size_t> positionals() const;
};

CommandLine split_command_line(int argc, char* const* argv);

/// The same of the command line of another process, the program's name included. It has no
/// `wrapped` words.
CommandLine split_command_line(std::vector<std::string> words);

/// The value of --while-pid in the command line of a hold, the program's name included; nullopt
/// for any other command.
std::optional<pid_t> watched_pid(const std::vector<std::string>& command);

/// The same, unless the hold may end before that process.
std::optional<pid_t> only_watched_pid(const std::vector<std::string>& command);

}  // namespace grex::cli
