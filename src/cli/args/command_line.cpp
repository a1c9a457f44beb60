#include "cli/args/command_line.hpp"

#include <algorithm>
#include <string_view>

namespace grex::cli {
namespace {

// The global options whose value is the next word, which is then not the command.
bool takes_next_word(std::string_view option) { return option == "--color" || option == "--layout"; }

}  // namespace

bool CommandLine::has_only_paths() const {
  return std::all_of(arguments.begin(), arguments.end(),
                     [](const std::string& word) { return !word.empty() && !word.starts_with('-'); });
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
      continue;
    }
    is_value = takes_next_word(word);
    line.arguments.emplace_back(word);
  }
  return line;
}

}  // namespace grex::cli
