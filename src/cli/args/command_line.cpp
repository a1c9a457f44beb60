#include "cli/args/command_line.hpp"

#include <algorithm>
#include <string_view>

namespace grex::cli {
namespace {

// The global options whose value is the next word, which is no command then.
bool takes_next_word(std::string_view option) { return option == "--color" || option == "--layout"; }

}  // namespace

bool Invocation::has_only_paths() const {
  return std::all_of(arguments.begin(), arguments.end(),
                     [](const std::string& word) { return !word.empty() && !word.starts_with('-'); });
}

Invocation parse_invocation(int argc, char* const* argv) {
  Invocation invocation;
  bool is_value = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      if (invocation.verb == "run") {
        invocation.wrapped = argv + i + 1;
      } else {
        invocation.arguments.insert(invocation.arguments.end(), argv + i, argv + argc);
      }
      break;
    }
    if (word == "--json" || word.starts_with("--json=")) invocation.json = true;
    if (invocation.verb.empty() && !is_value && !word.starts_with('-') && !word.empty()) {
      invocation.verb = word;
      continue;
    }
    is_value = takes_next_word(word);
    invocation.arguments.emplace_back(word);
  }
  return invocation;
}

}  // namespace grex::cli
