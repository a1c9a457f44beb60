#include "cli/commands/grex_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {
namespace {

// They take workspace-sync, the lock of the meta pack and that of its event log.
constexpr std::array<std::string_view, 4> locking_verbs = {"sync", "update", "teardown", "rm"};

bool is_simple(std::string_view text) {
  constexpr std::string_view marks = " \t_-+./:=,@%~";
  return std::all_of(text.begin(), text.end(), [marks](char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return is_letter || marks.find(c) != std::string_view::npos;
  });
}

// A word as the shell passes it on.
std::string expand_home(std::string_view word) {
  const char* const home = ::getenv("HOME");
  const bool is_in_home = word == "~" || word.starts_with("~/");
  return is_in_home && home != nullptr ? home + std::string(word.substr(1)) : std::string(word);
}

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view word = take_word(text);
    if (!word.empty()) words.push_back(expand_home(word));
  }
  return words;
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const auto begin = std::min(text.find_first_not_of(blanks), text.size());
  return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

// Whether grex takes no lock with this option.
bool avoids_locks(std::string_view verb, std::string_view option) {
  const bool is_dry = option == "--dry-run" || option == "--help" || option == "-h";
  return is_dry || (verb == "rm" && option == "--force");
}

std::optional<GrexCommand> parse_grex(const std::vector<std::string>& words) {
  constexpr std::string_view workspace = "--workspace";
  GrexCommand command;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == workspace && i + 1 < words.size()) {
      command.workspace = words[++i];
    } else if (word.starts_with(workspace) && word.substr(workspace.size()).starts_with('=')) {
      command.workspace = word.substr(workspace.size() + 1);
    } else if (avoids_locks(command.verb, word)) {
      return std::nullopt;
    } else if (word.starts_with('-')) {
      continue;
    } else if (command.verb.empty()) {
      command.verb = word;
    } else {
      command.operands.emplace_back(word);
    }
  }
  const bool locks = std::find(locking_verbs.begin(), locking_verbs.end(), command.verb) != locking_verbs.end();
  return locks ? std::optional(std::move(command)) : std::nullopt;
}

// The directories whose locks it takes: its root, and with `rm` also what it removes. Words
// that are the value of an option name no directory, as a rule.
std::vector<sys::FileId> directories_of(const GrexCommand& command) {
  std::vector<sys::FileId> operands;
  for (const std::string& operand : command.operands) {
    if (const auto id = sys::directory_at(operand)) operands.push_back(*id);
  }
  const bool removes = command.verb == "rm";
  const bool has_root = !command.workspace.empty() || operands.empty() || removes;
  std::vector<sys::FileId> directories;
  if (has_root) {
    const auto root = sys::directory_at(command.workspace.empty() ? "." : command.workspace);
    if (root) directories.push_back(*root);
    if (removes) directories.insert(directories.end(), operands.begin(), operands.end());
  } else {
    directories.push_back(operands.front());
  }
  return directories;
}

bool is_taken_by_grex(core::Tier tier) {
  return tier == core::Tier::workspace_sync || tier == core::Tier::per_pack || tier == core::Tier::manifest;
}

// A lock that the command needs.
struct NeededLock {
  std::string target;
  std::string path;
  bool is_inherited = false;  // an ancestor has it
};

// The locks of the ancestors, and those to be taken, that grex takes, too.
std::vector<NeededLock> locks_of(const Plan& plan) {
  std::vector<NeededLock> locks;
  for (const core::StackEntry& entry : plan.stack) {
    const auto place = is_taken_by_grex(entry.tier) ? core::lock_place_of(entry.path) : std::nullopt;
    if (place) locks.push_back({place->target, entry.path, true});
  }
  for (const core::Target& target : plan.targets) {
    if (is_taken_by_grex(target.tier())) locks.push_back({target.path, target.shown_path()});
  }
  return locks;
}

std::optional<NeededLock> find_needed(const GrexCommand& command, const Plan& plan) {
  const std::vector<sys::FileId> directories = directories_of(command);
  for (const NeededLock& lock : locks_of(plan)) {
    const auto target = sys::directory_at(lock.target);
    if (target && std::find(directories.begin(), directories.end(), *target) != directories.end()) return lock;
  }
  return std::nullopt;
}

std::optional<GrexCommand> grex_command_of(const std::vector<std::string>& words, std::string line) {
  const std::string& program = words.front();
  if (program.substr(program.rfind('/') + 1) != "grex") return std::nullopt;
  auto command = parse_grex(words);
  if (command) command->line = std::move(line);
  return command;
}

// In a list of commands for a shell. After a `cd`, its words would name other directories.
std::optional<GrexCommand> find_in_list(std::string_view list) {
  while (!list.empty()) {
    const std::string_view part = without_blanks(list.substr(0, list.find_first_of(";&|\n")));
    list.remove_prefix(std::min(list.find_first_of(";&|\n"), list.size() - 1) + 1);
    if (!is_simple(part)) return std::nullopt;
    const std::vector<std::string> words = words_in(part);
    if (words.empty()) continue;
    if (words.front() == "cd" || words.front() == "pushd") return std::nullopt;
    if (auto command = grex_command_of(words, std::string(part))) return command;
  }
  return std::nullopt;
}

}  // namespace

std::optional<GrexCommand> find_grex_command(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[1] == "-c") return find_in_list(words[2]);
  return words.empty() ? std::nullopt : grex_command_of(words, shell_line(words));
}

void warn_about_grex(const GrexCommand& command, const Plan& plan) {
  const auto needed = find_needed(command, plan);
  if (!needed) return;
  const std::vector<std::string> slot = {"-t", "semaphore", "--slots", "1", needed->target};
  Failure warning;
  warning.what = "warning";
  warning.path = needed->path;
  warning.why = fmt::format("grex {} takes this lock itself and will not get it", command.verb);
  if (needed->is_inherited) {
    warning.hint = "run it before the outer command takes that lock, or take a slot there instead: " + shell_line(slot);
  } else {
    std::vector<std::string> with_slot = slot;
    with_slot.insert(with_slot.end(), {"--", "CMD"});
    warning.hint = fmt::format("beside jobs with --guard, type: {} && {}; or start grex and every job under a slot: {}",
                               own_line("wait", {"-t", "workspace-sync", needed->target}), command.line,
                               own_line("run", with_slot));
  }
  standard_error().write(to_text(warning));
}

}  // namespace grex::cli
