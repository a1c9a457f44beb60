#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <set>
#include <string>

#include "base/exit_code.hpp"
#include "cli/args/cluster_options.hpp"
#include "cli/args/command_line.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/status_cluster.hpp"
#include "cli/commands/status_dot.hpp"
#include "cli/commands/status_find.hpp"
#include "cli/commands/status_hints.hpp"
#include "cli/commands/status_json.hpp"
#include "cli/commands/status_report.hpp"
#include "cli/commands/status_text.hpp"
#include "cli/commands/status_watch.hpp"
#include "cli/locking/cluster_names.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/process/proc.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

struct StatusOptions {
  GlobalOptions global;
  StatusScope scope;
  ClusterOptions cluster;
  bool all_of_cluster = false;
  std::optional<unsigned> slots;
  bool held = false;
  bool graph = false;
  bool verbose = false;
  std::string watch;  // the value of --watch; empty without it
  std::optional<std::chrono::nanoseconds> interval;
};

core::LostScope lost_scope(const FoundLocks& found, const StatusOptions& options) {
  using Extent = core::LostScope::Extent;
  const bool is_full = options.verbose || options.scope.all;
  return {is_full ? Extent::all : Extent::acquirers, options.scope.all, found.below};
}

std::set<std::string> unnamed_in_environment(const std::vector<core::LockReport>& locks) {
  std::set<std::string> unnamed;
  const auto cluster = choose_cluster({});
  if (!cluster || !*cluster) return unnamed;
  for (const core::LockReport& lock : locks) {
    if (!lock.cluster && may_be_in_use(lock) && !cluster_name_of(lock.target, (*cluster)->root)) {
      unnamed.insert(lock.target);
    }
  }
  return unnamed;
}

// `cluster` is null if there is none.
StatusReport report_of(FoundLocks found, const StatusOptions& options, ClusterStatus* cluster,
                       const ViewContext& context) {
  const core::HolderSearch search = {.should_stop = context.should_stop, .watched_pid = watched_pid};
  StatusReport report;
  report.host = sys::host_name();
  report.taken_at = utc_now();
  const bool shows_absent = options.verbose || options.global.json;
  report.locks = core::report_on(std::move(found.locks), options.scope.slots,
                                 shows_absent ? core::FileSystems::of_all : core::FileSystems::of_all_but_absent,
                                 lost_scope(found, options), search);
  const bool are_slots_guessed = !options.slots && is_shown_slots_guessed();
  for (core::LockReport& lock : report.locks) lock.are_slots_guessed = are_slots_guessed;
  report.is_complete = found.is_complete;
  if (cluster != nullptr) {
    std::vector<core::LockReport> there = cluster->report_on(report.locks);
    report.locks.insert(report.locks.end(), std::make_move_iterator(there.begin()),
                        std::make_move_iterator(there.end()));
    if (cluster->exit_code() != 0) report.is_complete = false;
  }
  report.unseen = found.unseen;
  report.unnamed = unnamed_in_environment(report.locks);
  if (options.held || options.scope.all) std::erase_if(report.locks, std::not_fn(may_be_in_use));
  std::vector<pid_t> involved;
  for (const core::LockReport& lock : report.locks) {
    if (lock.cluster) continue;  // processes of any machine
    for (const auto* processes : {&lock.merged.holders, &lock.merged.waiters}) {
      for (const core::LockProcess& process : *processes) involved.push_back(process.pid.value_or(0));
    }
  }
  if (!involved.empty()) report.deadlocks = core::deadlocks_of(involved, only_watched_pid, context.should_stop);
  return report;
}

std::string empty_text(const StatusOptions& options, const StatusReport& report) {
  const auto& [paths, recursive, all, slots] = options.scope;
  if (report.unseen && !report.unseen->empty()) return "no grex lock held, as far as this user can see\n";
  if (options.held || all) {
    return report.is_complete ? "no lock is held or waited for\n" : "no lock that was found is held or waited for\n";
  }
  if (!recursive) {
    const bool is_one = paths.size() < 2 && !report.locks.empty();
    return fmt::format("no lock files yet{}; -v shows their paths, {}\n",
                       is_one ? " for " + printable(report.locks.front().target) : "",
                       paths.empty() ? "--all every grex lock held" : "-r lock files further down");
  }
  return report.is_complete ? "no lock files\n" : "no lock files found\n";
}

std::string unseen_holders(const Unseen& unseen) {
  const bool is_one = unseen.files == 1;
  std::string descriptors = fmt::format("{} that no process has open", is_one ? "a descriptor" : "descriptors");
  if (!unseen.has_uninspected) return descriptors;
  if (!sys::is_root_of_machine()) return fmt::format("other users' processes; root sees {}", is_one ? "it" : "them");
  return "processes that not even root may inspect, or by " + descriptors;
}

// What --all could not see, one line each.
std::string unseen_text(const StatusReport& report) {
  std::string text;
  if (!report.unseen) return text;
  if (const std::size_t count = report.unseen->files; count > 0) {
    text += fmt::format("not shown: {} {} locked by {}\n", count, count == 1 ? "file" : "files",
                        unseen_holders(*report.unseen));
  }
  if (const std::size_t count = report.unseen->unreachable; count > 0) {
    text += fmt::format("not shown: {} whose path is too long, or leads elsewhere\n",
                        count == 1 ? "1 locked file" : fmt::format("{} locked files", count));
  }
  if (report.unseen->more_files) text += "may be incomplete: /proc/locks kept changing\n";
  if (report.unseen->other_namespaces) text += "not shown: locks of other PID namespaces\n";
  return text;
}

// `remark` is that of a cluster, in lines.
std::string format_report(const StatusReport& report, const std::vector<std::string>& paths,
                          const StatusOptions& options, const std::string& remark, const ViewContext& context) {
  if (options.global.json) return status_document(report);
  if (options.graph) return status_dot(report);
  std::string text = status_text(report, {use_color(options.global.color) ? Colored::yes : Colored::no,
                                          options.verbose ? Verbosity::verbose : Verbosity::normal, context.columns});
  if (text.empty() && remark.empty()) text = empty_text(options, report);
  return text + remark + status_hints(report, paths, *options.global.layouts, context.should_stop) +
         unseen_text(report);
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
  parser.begin_group("Which locks (default PATH: the pack around the current directory, or '.')");
  parser.add_flag("-r,--recursive", options.scope.recursive, "show every lock file below each PATH");
  auto* const all = parser.add_flag("--all", options.scope.all, "show every grex lock held on this machine");
  parser.exclude(all, "--recursive");
  parser.add_flag("--held", options.held, "show only locks that are held or waited for");
  add_slots_option(parser, options.slots);
  add_layout_option(parser, options.global);
  add_cluster_options(parser, options.cluster, WithLease::no);
  parser.add_flag("--cluster-all", options.all_of_cluster, "show every lock in the cluster's namespace");
  parser.begin_group("Output");
  // A flag, so that its value must be in the same word.
  parser.add_flag("--watch{2}", options.watch, "repeat, live on a terminal (default: every 2 s)")->type_name("SECONDS");
  auto* const graph = parser.add_flag("--graph", options.graph, "draw who waits for whom (Graphviz DOT)");
  parser.exclude(graph, "--watch");
  add_output_options(parser, options.global);
  parser.exclude(graph, "--json");
  parser.add_flag("-v,--verbose", options.verbose, "show when locks were taken, absent locks, and more");
  add_help_options(parser);
  parser.set_help("Show which processes hold the locks of PATH, and which wait. Changes nothing.",
                  "grex-lock status [OPTIONS] [PATH...]", "Example: grex-lock status -r --held ~/ws");
}

Result<Parsed, Failure> parse_status(const CommandLine& line, StatusOptions& options) {
  if (!line.has_only_paths()) return parse(line, options, define);
  options.scope.paths = line.arguments;
  return Parsed::options;
}

Result<void, Failure> check_choice(StatusOptions& options) {
  if (options.scope.all && !options.scope.paths.empty())
    return usage_failure("--all takes no PATH", "-r PATH shows every lock file below PATH");
  if (options.watch.empty()) return {};
  options.interval = interval_syntax.parse(options.watch);
  if (options.interval) return {};
  SyntaxError error = syntax_error(options.watch, interval_syntax.text);
  return usage_failure("--watch: " + error.why, std::move(error.hint));
}

// Null if only this machine is asked.
Result<std::unique_ptr<ClusterStatus>, Failure> choose_cluster_status(const StatusOptions& options) {
  auto chosen = choose_cluster(options.cluster);
  if (!chosen) return std::move(chosen.error());
  if (!*chosen) {
    if (options.all_of_cluster) return usage_failure("--cluster-all has no effect without a cluster", {});
    return std::unique_ptr<ClusterStatus>();
  }
  auto cluster = std::make_unique<ClusterStatus>(std::move(**chosen), options.cluster.name, options.all_of_cluster);
  if (!cluster->has_names()) {
    if (!options.global.json) note("PATHs have no name in the cluster; use --cluster-root, --name or --cluster-all");
    return std::unique_ptr<ClusterStatus>();
  }
  if (auto unnamed = cluster->find_unnamed(options.scope.paths, options.scope.recursive)) return std::move(*unnamed);
  return cluster;
}

// Whether the cluster's locks need no search on this machine.
bool is_cluster_alone(const ClusterStatus* cluster, const StatusScope& scope) {
  return cluster != nullptr && !cluster->needs_paths() && scope.paths.empty() && !scope.all && !scope.recursive;
}

// If the directories that were searched without a PATH have no name in the cluster.
std::optional<std::string> note_on_unnamed(const ClusterStatus* cluster, const FoundLocks& found,
                                           const std::vector<std::string>& paths, const StatusOptions& options) {
  if (cluster == nullptr || !options.scope.paths.empty() || options.global.json) return std::nullopt;
  auto unnamed = cluster->find_unnamed(options.scope.recursive ? found.below : paths, options.scope.recursive);
  return unnamed ? std::optional(std::move(unnamed->why)) : std::nullopt;
}

}  // namespace

Outcome status(const CommandLine& line, Events&) {
  StatusOptions options;
  if (const auto parsed = parse_status(line, options); !has_options(parsed)) return outcome_of(parsed);
  apply_valid_env_defaults(options.global);
  options.scope.slots = options.slots ? *options.slots : shown_slots();
  if (auto checked = check_choice(options); !checked) return checked.error();

  const auto chosen = choose_cluster_status(options);
  if (!chosen) return chosen.error();
  ClusterStatus* const cluster = chosen->get();
  int exit_code = 0;
  const Snapshot snapshot = [&](const ViewContext& context) -> Result<std::string, Failure> {
    auto found = is_cluster_alone(cluster, options.scope) ? FoundLocks()
                                                          : find_locks(options.scope, *options.global.layouts, context);
    if (!found) return found.error();
    exit_code = found->exit_code;
    std::vector<std::string> notes = std::move(found->notes);
    const std::vector<std::string> paths = std::move(found->paths);
    if (auto unnamed = note_on_unnamed(cluster, *found, paths, options)) notes.push_back(std::move(*unnamed));
    const StatusReport report = report_of(std::move(*found), options, cluster, context);
    if (cluster != nullptr && cluster->exit_code() != 0) exit_code = cluster->exit_code();
    std::string text =
        format_report(report, paths, options, cluster != nullptr ? cluster->remark() : std::string(), context);
    print_notes(notes, context, text);
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
