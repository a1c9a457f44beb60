#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/args/command_line.hpp"
#include "cli/report/failure.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/process/child.hpp"

namespace grex::cli {

/// The words of the command that `run` runs: those after `--`, or the shell with -c and
/// `shell_command`.
std::vector<std::string> words_of(const CommandLine& line, const std::optional<std::string>& shell_command);

/// The first of them: its program.
std::string program_of(const CommandLine& line, const std::optional<std::string>& shell_command);

/// The command that `run` runs: its words, and the environment with the locks of its
/// ancestors.
class Program {
 public:
  /// With the words of words_of. `settings` are further variables, as NAME=VALUE, or NAME of one
  /// that is unset. The line is borrowed.
  Program(const CommandLine& line, const std::optional<std::string>& shell_command, const core::TierStack& stack,
          std::vector<std::string> settings);
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() = default;

  /// Valid while this lives. `inherit` is borrowed.
  [[nodiscard]] sys::Command command(std::span<const int> inherit) const;
  [[nodiscard]] std::string name() const { return argv_.front(); }

  /// Why it was not started, in words, and what to type instead; `error` is that of
  /// sys::Child::start or sys::exec_in_place.
  [[nodiscard]] Failure start_failure(const Error& error) const;

 private:
  const CommandLine& line_;
  std::vector<std::string> words_;
  std::vector<std::string> settings_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
};

}  // namespace grex::cli
