#include "cli/commands/dispatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/nearest_word.hpp"
#include "base/text.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/args/unknown_word.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/path_hint.hpp"
#include "cli/commands/run_line.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {
namespace {

struct Entry {
  std::string_view name;
  Outcome (*run)(const CommandLine&, Events&);
  Stream json_errors;
  std::string_view summary;
};

constexpr std::array<Entry, 9> commands = {{
    {"run", run, Stream::err, "take locks, run a command, and release them when it ends"},
    {"hold", hold, Stream::err, "take locks and keep them without a command"},
    {"release", release, Stream::out, "end a 'hold' and release its locks"},
    {"wait", wait, Stream::out, "wait until locks are free, without keeping them"},
    {"fd", fd, Stream::out, "lock or unlock files that the calling shell has open"},
    {"probe", probe, Stream::out, "check whether a lock is free"},
    {"status", status, Stream::out, "show which processes hold locks or wait for them"},
    {"stack", stack, Stream::out, "show the locks held by ancestors of this process"},
    {"tiers", tiers, Stream::out, "list the tiers, their lock files and what each excludes"},
}};

// Null if there is no such command.
const Entry* find_command(std::string_view name) {
  const auto* const found =
      std::find_if(commands.begin(), commands.end(), [name](const Entry& entry) { return entry.name == name; });
  return found == commands.end() ? nullptr : found;
}

void define_without_command(Parser& parser, GlobalOptions& options) {
  parser.begin_group("Options, before or after COMMAND");
  add_help_options(parser);
  add_output_options(parser, options);
  add_layout_option(parser, options);
  std::string usage = "grex-lock [OPTIONS] COMMAND [ARGUMENTS]\n\nCommands:";
  for (const Entry& entry : commands) usage += fmt::format("\n  {:<9}{}", entry.name, entry.summary);
  parser.set_help("Lock the packs and workspaces of grex, as flock(1) locks files.", usage,
                  "Example: grex-lock run ~/ws/app -- make -C ~/ws/app\n"
                  "'grex-lock COMMAND --help' shows the options of COMMAND; see also grex-lock(1).");
}

// grex-lock without a command: --help, --version, or a usage error.
Outcome run_without_command(const CommandLine& line) {
  GlobalOptions global;
  if (const auto parsed = parse(line, global, define_without_command); !has_options(parsed)) return outcome_of(parsed);
  return usage_failure("no command given", "see 'grex-lock --help'");
}

// If the first word that is neither an option nor its value is a directory, as with flock(1),
// it is PATH, and the command comes behind it: then the line with `run`. Also for `-u`.
std::optional<std::string> hint_without_command(const CommandLine& line) {
  CommandLine typed{"run", line.arguments};
  std::vector<std::string>& words = typed.arguments;
  words.insert(words.begin() + static_cast<std::ptrdiff_t>(line.before_verb), line.verb);
  const std::vector<std::size_t> places = typed.positionals();
  const std::size_t command = places.size() > 1 ? places[1] : words.size();
  const auto is_in = [&words](std::initializer_list<std::string_view> wanted, std::size_t end) {
    const auto stop = words.begin() + static_cast<std::ptrdiff_t>(end);
    return std::find_first_of(words.begin(), stop, wanted.begin(), wanted.end()) != stop;
  };
  if (places.empty()) return std::nullopt;
  const std::string& first = words[places.front()];
  const bool is_directory = static_cast<bool>(sys::open_directory(first));
  const bool unlocks = is_in({"-u", "--unlock"}, command);
  if (unlocks && (is_directory || parse_number<unsigned>(first))) return std::string(missing_option_hint("run", "-u"));
  if (!is_directory) return std::nullopt;
  if (is_in({"--", "-c", "--command"}, words.size())) return "try: " + own_line("run", std::move(words));
  return "try: " + line_with_separator(words, command);
}

std::string hint_for_unknown(const CommandLine& line) {
  if (const auto hint = hint_without_command(line)) return *hint;
  if (line.verb == "help") {
    const bool names_command = !line.arguments.empty() && find_command(line.arguments.front()) != nullptr;
    return names_command ? fmt::format("see 'grex-lock {} --help'", line.arguments.front()) : "see 'grex-lock --help'";
  }
  if (line.verb == "version") return "did you mean --version?";
  if (const auto hint = typographic_hint(line.verb); !hint.empty()) return std::string(hint);
  if (const auto name = command_like(line.verb); !name.empty()) return fmt::format("did you mean '{}'?", name);
  std::vector<std::string_view> names;
  names.reserve(commands.size());
  for (const Entry& entry : commands) names.push_back(entry.name);
  if (const auto nearest = nearest_word(line.verb, names)) return fmt::format("did you mean '{}'?", *nearest);
  // In `-w 5 run`, 5 is the first word without a dash.
  const auto command = std::find_first_of(line.arguments.begin(), line.arguments.end(), names.begin(), names.end());
  const bool is_after_options = command != line.arguments.end() && line.arguments.front().starts_with('-');
  return is_after_options ? fmt::format("the options of '{}' come after it", *command) : "see 'grex-lock --help'";
}

Failure unknown_command(const CommandLine& line) {
  return usage_failure(fmt::format("unknown command '{}'", line.verb), hint_for_unknown(line));
}

}  // namespace

Outcome dispatch(const CommandLine& line, Events& events) {
  if (line.verb.empty()) return run_without_command(line);
  const Entry* const command = find_command(line.verb);
  if (command == nullptr) return unknown_command(line);
  Outcome outcome = command->run(line, events);
  if (outcome) return outcome;
  Failure failure = with_path_hint(std::move(outcome.error()), line);
  events.failed(failure);
  return failure;
}

Stream json_errors_of(std::string_view verb) {
  const Entry* const command = find_command(verb);
  return command == nullptr ? Stream::out : command->json_errors;
}

}  // namespace grex::cli
