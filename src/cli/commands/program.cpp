#include "cli/commands/program.hpp"

#include <stdlib.h>

#include <string_view>

#include "sys/process/proc.hpp"

namespace grex::cli {

Program::Program(const CommandLine& line, const std::optional<std::string>& shell_command,
                 const core::TierStack& stack) {
  if (shell_command) {
    const char* const shell = ::getenv("SHELL");
    words_ = {shell != nullptr && *shell != '\0' ? shell : "/bin/sh", "-c", *shell_command};
    for (std::string& word : words_) argv_.push_back(word.data());
  } else {
    for (char* const* word = line.wrapped; *word != nullptr; ++word) argv_.push_back(*word);
  }
  argv_.push_back(nullptr);

  std::string prefix = core::stack_variable;
  prefix += '=';
  for (char** variable = sys::environment(); *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with(prefix)) envp_.push_back(*variable);
  }
  if (!stack.empty()) {
    stack_setting_ = prefix + core::to_text(stack);
    envp_.push_back(stack_setting_.data());
  }
  envp_.push_back(nullptr);
}

sys::Command Program::command(std::span<const int> inherit) const { return {argv_.data(), envp_.data(), inherit}; }

}  // namespace grex::cli
