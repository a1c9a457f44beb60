#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/args/command_line.hpp"
#include "cli/args/options.hpp"
#include "cli/report/failure.hpp"

// What is wrong with a line of `run` in which the command does not follow `--`.

namespace grex::cli {

/// Where the command begins in a line without `--`, or where an unknown option is,
/// whichever comes first: the command's own options look like unknown ones.
struct CommandStart {
  std::size_t at;
  bool is_option = false;
};

/// `paths` and `extras` are the words that the parser took for PATHs and for unknown
/// options, in their order. A word that names no directory is not a PATH.
CommandStart find_command_start(const std::vector<std::string>& words, std::vector<std::string> paths,
                                std::vector<std::string> extras, bool paths_may_be_missing);

/// The corrected line, with `--` before the word `first`, where the command begins. If there is
/// none, CMD stands for it.
std::string line_with_separator(std::vector<std::string> words, std::size_t first);

/// The Failure of a line in which the word at `at` is no PATH: the command, or a mistyped PATH.
Failure not_a_path(const CommandLine& line, const LockOptions& options, std::vector<std::string> extras,
                   std::size_t at);

/// With PATH in the line to type, if the options name no lock, and there is no pack to use.
Failure missing_command(const CommandLine& line, const LockOptions& options);

/// The Failure of a PATH behind `--`, if none is before it: a directory can't be executed.
std::optional<Failure> check_wrapped_path(const CommandLine& line, const LockOptions& options);

/// The Failure of a line without `--` in which a word is surely the command: a program right
/// behind a PATH. Its own options may be ones of ours, too. `paths` are as above, or null if
/// the line can't be parsed.
std::optional<Failure> find_missing_separator(const CommandLine& line, const std::vector<std::string>* paths);

/// Of a line with -c, why what follows its STRING is no PATH; nullopt if it may be one.
std::optional<Failure> check_shell_command(const CommandLine& line, const std::vector<std::string>& paths);

}  // namespace grex::cli
