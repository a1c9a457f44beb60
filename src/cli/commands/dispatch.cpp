#include "cli/commands/dispatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"

namespace grex::cli {
namespace {

struct Entry {
  std::string_view name;
  Outcome (*run)(const CommandLine&, Events&);
  Stream json_errors;
  std::string_view summary;
};

constexpr std::array<Entry, 9> commands = {{
    {"run", run, Stream::err, "run a command under locks"},
    {"probe", probe, Stream::out, "tell whether a lock could be taken now"},
    {"status", status, Stream::out, "tell who holds the locks of a pack, and who waits"},
    {"hold", hold, Stream::err, "keep locks without a command, also in the background"},
    {"release", release, Stream::out, "end the hold that holds a lock"},
    {"wait", wait, Stream::out, "wait until locks are free, keeping nothing"},
    {"fd", fd, Stream::out, "lock or unlock a file that the shell has open"},
    {"stack", stack, Stream::out, "show the locks that the ancestors of this shell hold"},
    {"tiers", tiers, Stream::out, "list the tiers, their files and what each excludes"},
}};

// Null if there is no such command.
const Entry* find_command(std::string_view name) {
  const auto* const found =
      std::find_if(commands.begin(), commands.end(), [name](const Entry& entry) { return entry.name == name; });
  return found == commands.end() ? nullptr : found;
}

void define_without_command(Parser& parser, GlobalOptions& options) {
  add_global_options(parser, options);
  std::string footer = "Commands:\n";
  for (const Entry& entry : commands) footer += fmt::format("  {:<26}{}\n", entry.name, entry.summary);
  footer +=
      "\n'grex-lock COMMAND --help' tells the options of each.\n"
      "\nExamples:\n"
      "  grex-lock run ~/ws/app -- git pull   # under the lock of the pack\n"
      "  grex-lock status ~/ws/app            # who holds its locks?";
  parser.set_help("Take, probe and show the locks of grex, as flock(1) does for plain files.",
                  "grex-lock [OPTIONS] COMMAND ...", footer);
}

// grex-lock without a command: --help, --version, or a usage error.
Outcome run_without_command(const CommandLine& line) {
  GlobalOptions global;
  if (const auto parsed = parse(line, global, define_without_command); !has_options(parsed)) return outcome_of(parsed);
  return usage_failure("no command is named", "see 'grex-lock --help'");
}

Failure unknown_command(const std::string& verb) {
  std::string names;
  for (const Entry& entry : commands) names += fmt::format("{}{}", names.empty() ? "" : ", ", entry.name);
  return usage_failure(fmt::format("'{}' is no command", verb),
                       fmt::format("the commands are {}; see 'grex-lock --help'", names));
}

}  // namespace

Outcome dispatch(const CommandLine& line, Events& events) {
  if (line.verb.empty()) return run_without_command(line);
  const Entry* const command = find_command(line.verb);
  if (command == nullptr) return unknown_command(line.verb);
  Outcome outcome = command->run(line, events);
  if (!outcome) events.failed(outcome.error());
  return outcome;
}

Stream json_errors_of(std::string_view verb) {
  const Entry* const command = find_command(verb);
  return command == nullptr ? Stream::out : command->json_errors;
}

}  // namespace grex::cli
