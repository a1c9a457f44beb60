#include "cli/args/command_line.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace grex::cli {
namespace {

// The global options whose value is the next word, which is then not the command.
bool is_global_with_value(std::string_view option) { return option == "--color" || option == "--layout"; }

// The same of the options of any command.
bool takes_next_word(std::string_view option) {
  constexpr std::string_view short_options = "cEltw";
  constexpr std::string_view long_options =
      "--cluster --cluster-root --color --command --conflict-exit-code --for --git-exclude --if-lost --json-status-fd "
      "--layout --lease --lock --log --name --note --pid --slots --tier --tier-check --timeout --token --wait "
      "--while-pid";
  // Of several in one word, the first that has a value has the rest of the word for it.
  if (!option.starts_with("--")) return option.find_first_of(short_options) == option.size() - 1;
  std::string_view rest = long_options;
  std::string_view name = take_word(rest);
  while (!name.empty() && name != option) name = take_word(rest);
  return !name.empty();
}

}  // namespace

bool CommandLine::has_only_paths() const {
  return std::all_of(arguments.begin(), arguments.end(),
                     [](const std::string& word) { return !word.empty() && !word.starts_with('-'); });
}

std::vector<std::size_t> CommandLine::positionals() const {
  std::vector<std::size_t> places;
  bool is_value = false;
  bool may_be_option = true;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (std::exchange(is_value, false)) continue;
    if (may_be_option && word == "--") {
      may_be_option = false;
    } else if (may_be_option && word.starts_with('-')) {
      is_value = takes_next_word(word);
    } else {
      places.push_back(i);
    }
  }
  return places;
}

CommandLine split_command_line(int argc, char* const* argv) {
  CommandLine line;
  bool is_value = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      if (line.verb == "run") {
        line.wrapped = argv + i + 1;
      } else {
        line.arguments.insert(line.arguments.end(), argv + i, argv + argc);
      }
      break;
    }
    if (word == "--json" || word.starts_with("--json=")) line.json = true;
    if (line.verb.empty() && !is_value && !word.starts_with('-') && !word.empty()) {
      line.verb = word;
      line.before_verb = line.arguments.size();
      continue;
    }
    is_value = is_global_with_value(word);
    line.arguments.emplace_back(word);
  }
  return line;
}

CommandLine split_command_line(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size());
  for (std::string& word : words) argv.push_back(word.data());
  CommandLine line = split_command_line(static_cast<int>(argv.size()), argv.data());
  line.wrapped = nullptr;
  return line;
}

std::optional<pid_t> watched_pid(const std::vector<std::string>& command) {
  constexpr std::string_view option = "--while-pid";
  const CommandLine line = split_command_line(command);
  if (line.verb != "hold") return std::nullopt;
  const auto& words = line.arguments;
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    std::string_view word = words[i];
    if (word == option && i + 1 < words.size()) return parse_number<pid_t>(words[i + 1]);
    if (!word.starts_with(option)) continue;
    word.remove_prefix(option.size());
    if (word.starts_with('=')) return parse_number<pid_t>(word.substr(1));
  }
  return std::nullopt;
}

std::optional<pid_t> only_watched_pid(const std::vector<std::string>& command) {
  const auto ends_otherwise = [](const std::string& word) {
    return word == "--stdin" || word == "--for" || word.starts_with("--for=");
  };
  return std::any_of(command.begin(), command.end(), ends_otherwise) ? std::nullopt : watched_pid(command);
}

}  // namespace grex::cli
