#include "cli/commands/commands.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"

namespace grex::cli {
namespace {

struct Entry {
  std::string_view name;
  Outcome (*run)(const Invocation&);
  std::string_view summary;
};

constexpr std::array<Entry, 9> commands = {{
    {"run", run, "run a command under locks"},
    {"probe", probe, "tell whether a lock could be taken now"},
    {"status", status, "tell who holds the locks of a pack, and who waits"},
    {"hold", hold, "keep locks without a command, also in the background"},
    {"release", release, "end the hold that holds a lock"},
    {"wait", wait, "wait until locks are free, keeping nothing"},
    {"fd", fd, "lock or unlock a file that the shell has open"},
    {"stack", stack, "show the locks that the ancestors of this shell hold"},
    {"tiers", tiers, "show the tiers of locks and their files"},
}};

void define_no_command(Parser& parser, GlobalOptions& options) {
  add_global_options(parser, options);
  std::string footer = "Commands:\n";
  for (const Entry& entry : commands) footer += fmt::format("  {:<26}{}\n", entry.name, entry.summary);
  footer +=
      "\n'grex-lock COMMAND --help' tells the options of each.\n"
      "\nExamples:\n"
      "  grex-lock run ~/ws/app -- git pull   # while nobody else works on it\n"
      "  grex-lock status ~/ws/app            # who holds its locks?";
  parser.set_help("Take, probe and show the locks of grex, as flock(1) does for plain files.",
                  "grex-lock [OPTIONS] COMMAND ...", footer);
}

// grex-lock without a command: --help and --version, or a mistake.
Outcome no_command(const Invocation& invocation) {
  GlobalOptions global;
  if (auto outcome = parse(invocation, global, define_no_command)) return *outcome;
  return failed(usage_failure("no command is named", "see 'grex-lock --help'"));
}

}  // namespace

Outcome dispatch(const Invocation& invocation) {
  if (invocation.verb.empty()) return no_command(invocation);
  for (const Entry& entry : commands) {
    if (entry.name == invocation.verb) return entry.run(invocation);
  }
  std::string names;
  for (const Entry& entry : commands) names += fmt::format("{}{}", names.empty() ? "" : ", ", entry.name);
  return failed(usage_failure(fmt::format("'{}' is no command", invocation.verb),
                              fmt::format("the commands are {}; see 'grex-lock --help'", names)));
}

}  // namespace grex::cli
