#include "cli/commands/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <utility>

#include "base/exit_code.hpp"
#include "base/text.hpp"
#include "cli/args/option_values.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
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

// Names that the shell itself knows; a program of such a name may exist, too.
bool is_shell_word(std::string_view word) {
  constexpr std::array<std::string_view, 39> names = {
      ".",     "alias", "bg",     "cd",   "declare", "eval", "exec",   "exit",    "export",   "fg",
      "for",   "if",    "jobs",   "let",  "local",   "popd", "pushd",  "read",    "readonly", "set",
      "shift", "shopt", "source", "time", "trap",    "type", "ulimit", "umask",   "unset",    "while",
      "until", "case",  "[[",     "!",    "{",       ":",    "wait",   "command", "return"};
  return std::find(names.begin(), names.end(), word) != names.end();
}

// The corrected line if a word is a whole command, as by quotes too many; empty if it is none. A
// shell must read it if it has characters with a meaning there.
std::string line_in_words(const CommandLine& line, std::span<char* const> command) {
  constexpr std::string_view for_shell = "|&;<>()$`'\"\\*?[]{}~#!\n";
  std::vector<std::string> words = line.arguments;
  std::string_view quoted = command.front();
  const std::string program(take_word(quoted));
  const bool is_builtin = is_shell_word(program);
  if (quoted.empty() || (!is_builtin && sys::find_program(program).empty())) return {};
  if (is_builtin || quoted.find_first_of(for_shell) != std::string_view::npos) {
    if (command.size() > 1) return {};
    words.insert(words.end(), {"-c", command.front()});
    return own_line("run", std::move(words));
  }
  words.insert(words.end(), {"--", program});
  for (std::string_view word = take_word(quoted); !word.empty(); word = take_word(quoted)) words.emplace_back(word);
  words.insert(words.end(), command.begin() + 1, command.end());
  return own_line("run", std::move(words));
}

// The corrected line of a command that begins with an assignment, such as A=1 make; empty if it
// does not.
std::string line_with_env(const CommandLine& line, std::span<char* const> command) {
  constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  const std::string_view assignment = command.front();
  const auto equals = assignment.find('=');
  if (equals == 0 || equals == std::string_view::npos || command.size() < 2) return {};
  if (assignment.find_first_not_of(name_characters) != equals) return {};
  std::vector<std::string> words = line.arguments;
  words.insert(words.end(), {"--", "env"});
  words.insert(words.end(), command.begin(), command.end());
  return own_line("run", std::move(words));
}

// What to type instead of a command that was not found; empty if that is not known.
std::string hint_for_missing(const CommandLine& line, std::span<char* const> command) {
  if (is_shell_word(command.front())) {
    return fmt::format("'{}' is built into the shell: use -c STRING", command.front());
  }
  std::string corrected = line_in_words(line, command);
  if (corrected.empty()) corrected = line_with_env(line, command);
  return corrected.empty() ? corrected : "try: " + corrected;
}

// A program of this user that may not be executed.
bool lacks_execute_permission(const std::string& path) {
  if (path.find('/') == std::string::npos) return false;  // it was found in PATH
  const auto status = sys::status_of(path);
  constexpr unsigned any_execute = 0111;
  const bool is_ours = status && status->type == sys::FileType::regular && status->owner == sys::effective_uid();
  if (!is_ours || (status->permissions & any_execute) != 0) return false;
  const UniqueFd fd = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  constexpr std::string_view elf = "\177ELF";
  const auto start = fd.is_open() ? sys::read_start(fd.get(), elf.size()) : Result<std::string>(std::string());
  return start && (start->starts_with("#!") || *start == elf);
}

// Whether a setting is of the variable with this name.
bool names(std::string_view setting, std::string_view name) { return take_until(setting, '=') == name; }

}  // namespace

std::string program_of(const CommandLine& line, const std::optional<std::string>& shell_command) {
  if (!shell_command) return line.wrapped[0];
  const char* const shell = ::getenv("SHELL");
  return shell != nullptr && *shell != '\0' ? shell : "/bin/sh";
}

std::vector<std::string> words_of(const CommandLine& line, const std::optional<std::string>& shell_command) {
  if (shell_command) return {program_of(line, shell_command), "-c", *shell_command};
  std::vector<std::string> words;
  for (char* const* word = line.wrapped; *word != nullptr; ++word) words.emplace_back(*word);
  return words;
}

Program::Program(const CommandLine& line, const std::optional<std::string>& shell_command, const core::TierStack& stack,
                 std::vector<std::string> settings)
    : line_(line), settings_(std::move(settings)) {
  if (shell_command) {
    words_ = words_of(line, shell_command);
    for (std::string& word : words_) argv_.push_back(word.data());
  } else {
    for (char* const* word = line.wrapped; *word != nullptr; ++word) argv_.push_back(*word);
  }
  argv_.push_back(nullptr);

  settings_.push_back(core::stack_variable + (stack.empty() ? std::string() : "=" + core::to_text(stack)));
  for (char** variable = sys::environment(); *variable != nullptr; ++variable) {
    std::string_view text = *variable;
    const std::string_view name = take_until(text, '=');
    if (std::none_of(settings_.begin(), settings_.end(),
                     [name](const std::string& setting) { return names(setting, name); })) {
      envp_.push_back(*variable);
    }
  }
  for (std::string& setting : settings_) {
    if (setting.find('=') != std::string::npos) envp_.push_back(setting.data());
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
    failure.hint = unset_hint;
  } else if (const auto bad = sys::find_bad_interpreter(command, error.err)) {
    failure.what = "cannot run";
    failure.why = why_of(*bad, command);
    failure.err = bad->err;
    failure.exit_code = exit_code::cannot_execute;
  } else if (error.err == ENOENT) {
    failure.why.clear();
    if (words_.empty()) failure.hint = hint_for_missing(line_, std::span(argv_).first(argv_.size() - 1));
  } else if (lacks_execute_permission(command)) {
    failure.hint = "try: chmod +x " + shell_line({command});
  } else if (sys::directory_at(command)) {
    failure.why = "a directory";
  }
  return failure;
}

}  // namespace grex::cli
