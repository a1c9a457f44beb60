#include "cli/commands/program.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>

#include <cerrno>
#include <string_view>

#include "base/exit_code.hpp"
#include "sys/process/interpreter.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

std::string why_of(const sys::BadInterpreter& bad, const std::string& command) {
  if (bad.path.empty()) return "its interpreter or dynamic loader does not exist";
  std::string interpreter = bad.of == command || bad.of.ends_with("/" + command)
                                ? "its interpreter " + bad.path
                                : fmt::format("the interpreter {} of {}", bad.path, bad.of);
  return interpreter + (bad.err == ENOENT ? " does not exist" : fmt::format(": {}", ::strerrordesc_np(bad.err)));
}

}  // namespace

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

Failure Program::start_failure(const Error& error) const {
  Failure failure = failure_from(error);
  if (error.kind != ErrorKind::exec) return failure;
  const std::string command = argv_.front();
  if (command.empty()) {
    failure.why = "CMD is empty";
    failure.hint = "is a variable unset?";
  } else if (const auto bad = sys::find_bad_interpreter(command, error.err)) {
    failure.what = "cannot run";
    failure.why = why_of(*bad, command);
    failure.err = bad->err;
    failure.exit_code = exit_code::cannot_execute;
  }
  return failure;
}

}  // namespace grex::cli
