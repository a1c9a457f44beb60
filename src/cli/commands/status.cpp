#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/status_dot.hpp"
#include "cli/commands/status_find.hpp"
#include "cli/commands/status_json.hpp"
#include "cli/commands/status_report.hpp"
#include "cli/commands/status_text.hpp"
#include "cli/commands/status_watch.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/process/proc.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

struct StatusOptions {
  GlobalOptions global;
  StatusScope scope;
  bool held = false;
  bool graph = false;
  bool verbose = false;
  std::string watch;  // the value of --watch; empty without it
  std::optional<std::chrono::nanoseconds> interval;
};

// A lock in an unknown state may be held.
bool may_be_in_use(const core::LockReport& lock) {
  return lock.merged.state == core::LockState::held || lock.merged.state == core::LockState::unknown ||
         !lock.merged.waiters.empty();
}

StatusReport report_of(const FoundLocks& found, const StatusOptions& options, const ViewContext& context) {
  const core::HolderSearch search = {.should_stop = context.should_stop};
  StatusReport report;
  report.host = sys::host_name();
  report.taken_at = utc_now();
  report.locks = core::report_on(found.locks, options.scope.slots, search);
  report.is_complete = found.is_complete;
  report.unseen = found.unseen;
  if (options.held || options.scope.all) std::erase_if(report.locks, std::not_fn(may_be_in_use));
  std::vector<pid_t> involved;
  for (const core::LockReport& lock : report.locks) {
    for (const auto* processes : {&lock.merged.holders, &lock.merged.waiters}) {
      for (const core::LockProcess& process : *processes) involved.push_back(process.pid.value_or(0));
    }
  }
  if (!involved.empty()) report.deadlocks = core::deadlocks_of(involved, context.should_stop);
  return report;
}

std::string empty_text(const StatusOptions& options, const StatusReport& report) {
  const auto& [paths, recursive, all, slots] = options.scope;
  if (report.unseen && !report.unseen->empty()) return "no lock of grex that can be seen from here is held\n";
  if (options.held || all) {
    return report.is_complete ? "no lock is held or waited for\n" : "no lock that was found is held or waited for\n";
  }
  if (!recursive) return "no lock file there yet; -v tells where each would be\n";
  return report.is_complete ? "no lock file there\n" : "no lock file was found\n";
}

std::string unseen_holders(const Unseen& unseen) {
  std::string descriptors =
      fmt::format("{} that no process has open", unseen.files == 1 ? "a descriptor" : "descriptors");
  if (!unseen.has_uninspected) return descriptors;
  if (!sys::is_root_of_machine()) return "processes that may not be looked at; root sees all";
  return "processes that not even root may look at, or by " + descriptors;
}

// What --all could not see, one line each.
std::string unseen_text(const StatusReport& report) {
  std::string text;
  if (!report.unseen) return text;
  if (report.unseen->files > 0) {
    text += fmt::format("not told: {} locked by {}\n",
                        report.unseen->files == 1 ? "a file" : fmt::format("{} files", report.unseen->files),
                        unseen_holders(*report.unseen));
  }
  if (const std::size_t count = report.unseen->unreachable; count > 0) {
    text += fmt::format("not told: {} that can't be reached by path: it is too long, or leads elsewhere\n",
                        count == 1 ? "a locked file" : fmt::format("{} locked files", count));
  }
  if (report.unseen->more_files) text += "not told: what was missed while the kernel's list of locks kept changing\n";
  if (report.unseen->other_namespaces) text += "not told: what processes of other PID namespaces hold\n";
  return text;
}

std::string format_report(const StatusReport& report, const StatusOptions& options, const ViewContext& context) {
  if (options.global.json) return status_document(report);
  if (options.graph) return status_dot(report);
  std::string text = status_text(report, {use_color(options.global.color) ? Colored::yes : Colored::no,
                                          options.verbose ? Verbosity::verbose : Verbosity::normal, context.columns});
  if (text.empty()) text = empty_text(options, report);
  return text + unseen_text(report);
}

// In a live view, notes are part of the text.
void print_notes(const std::vector<std::string>& notes, const ViewContext& context, std::string& text) {
  for (const std::string& line : notes) {
    if (context.on_screen) {
      text += printable(line) + "\n";
    } else {
      note(line);
    }
  }
}

void define(Parser& parser, StatusOptions& options) {
  add_paths(parser, options.scope.paths);
  add_global_options(parser, options.global);
  auto* const recursive = parser.add_flag("-r,--recursive", options.scope.recursive, "every lock file below each PATH");
  auto* const all = parser.add_flag("--all", options.scope.all, "every lock that is held on this machine");
  recursive->group("Which locks");
  all->group("Which locks");
  Parser::exclude(all, recursive);
  parser.add_flag("--held", options.held, "only what is held or waited for")->group("Which locks");
  // A flag, so that its value must be in the same word.
  auto* const watch = parser.add_flag("--watch{2}", options.watch, "again and again, live on a terminal");
  watch->type_name("SECONDS")->group("How");
  auto* const graph = parser.add_flag("--graph", options.graph, "who waits for whom, as Graphviz DOT")->group("How");
  Parser::exclude(graph, watch);
  parser.add_flag("-v,--verbose", options.verbose, "also what is absent, and all that is known")->group("How");
  parser.set_help("Tell who holds the locks of each PATH, and who waits. Changes nothing.",
                  "grex-lock status [OPTIONS] [PATH...]",
                  "Examples:\n"
                  "  grex-lock status -r --held ~/ws\n"
                  "  grex-lock status --json ~/ws/app | jq '.locks[] | select(.state == \"held\")'");
}

Result<Parsed, Failure> parse_status(const CommandLine& line, StatusOptions& options) {
  if (!line.has_only_paths()) return parse(line, options, define);
  options.scope.paths = line.arguments;
  return Parsed::options;
}

Result<void, Failure> check_choice(StatusOptions& options) {
  if (options.scope.all && !options.scope.paths.empty())
    return usage_failure("--all takes no PATH", "'-r PATH' looks below one");
  if (options.graph && options.global.json) return usage_failure("--graph is not JSON", "leave out one of them");
  if (options.watch.empty()) return {};
  options.interval = interval_syntax.parse(options.watch);
  if (options.interval) return {};
  return usage_failure("--watch: " + syntax_error(options.watch, interval_syntax.description),
                       "see 'grex-lock status --help'");
}

}  // namespace

Outcome status(const CommandLine& line, Events&) {
  StatusOptions options;
  if (const auto parsed = parse_status(line, options); !has_options(parsed)) return outcome_of(parsed);
  apply_valid_env_defaults(options.global);
  options.scope.slots = shown_slots();
  if (auto checked = check_choice(options); !checked) return checked.error();

  int exit_code = 0;
  const Snapshot snapshot = [&](const ViewContext& context) -> Result<std::string, Failure> {
    const auto found = find_locks(options.scope, *options.global.layouts, context);
    if (!found) return found.error();
    exit_code = found->exit_code;
    std::string text = format_report(report_of(*found, options, context), options, context);
    print_notes(found->notes, context, text);
    return text;
  };
  if (options.interval) {
    const bool is_live = stdout_supports_ansi() && !options.global.json;
    return is_live ? watch_on_screen(*options.interval, snapshot) : watch_in_lines(*options.interval, snapshot);
  }
  ViewContext context;
  if (sys::is_terminal(STDOUT_FILENO)) context.columns = sys::columns_of(STDOUT_FILENO);
  const auto seen = snapshot(context);
  if (!seen) return seen.error();
  Outcome outcome = print(*seen);
  if (outcome) outcome->code = exit_code;
  return outcome;
}

}  // namespace grex::cli
