#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <variant>

#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/status_dot.hpp"
#include "cli/commands/status_report.hpp"
#include "cli/commands/status_text.hpp"
#include "cli/commands/status_watch.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/target.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

struct StatusOptions {
  GlobalOptions global;
  std::vector<std::string> paths;
  bool recursive = false;
  bool all = false;
  bool held = false;
  bool graph = false;
  bool verbose = false;
  std::string watch;  // --watch's value, if it was given
  std::optional<std::chrono::nanoseconds> interval;
  std::optional<unsigned> slots;
};

// How far a search has come, on a terminal, once it has lasted for a while.
class Progress {
 public:
  explicit Progress(bool is_silent) : is_silent_(is_silent) {}
  ~Progress() {
    if (next_ != first_) (void)sys::write_all(STDERR_FILENO, erase_line);
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void tell(std::size_t directories, std::size_t files) {
    const auto now = std::chrono::steady_clock::now();
    if (is_silent_ || now < next_ || !can_redraw_on_stderr()) return;
    next_ = now + std::chrono::seconds(1);
    (void)sys::write_all(STDERR_FILENO, fmt::format("{}grex-lock: {} directories, {} lock files so far", erase_line,
                                                    directories, files));
  }

 private:
  bool is_silent_;
  const std::chrono::steady_clock::time_point first_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  std::chrono::steady_clock::time_point next_ = first_;
};

// What was found, and what is to be said of what was not.
struct Found {
  std::vector<core::FoundLock> locks;
  std::vector<std::string> notes;
  int exit_code = 0;
  std::optional<Unseen> unseen;  // with --all
};

// No permission tells more than what else may have failed beside it.
int exit_code_of(const Error& error, int so_far) {
  if (error.kind == ErrorKind::permission) return exit_code::permission;
  if (so_far != 0) return so_far;
  return error.kind == ErrorKind::system ? exit_code::system : exit_code::io;
}

std::optional<Failure> find_below(const std::vector<std::string>& paths, const Viewer& viewer, Found& found) {
  Progress progress(viewer.on_screen);
  const core::SearchObserver observer = {
      .on_progress =
          [&](std::size_t directories, std::size_t files) {
            constexpr std::size_t now_and_then = 64;
            if (directories % now_and_then != 0) return true;
            progress.tell(directories, files);
            return !viewer.gives_up();
          },
      .on_unreadable =
          [&](const Error& error) {
            const Failure failure = failure_from(error);
            found.notes.push_back(fmt::format("{}: {}: {}", failure.what, failure.path, failure.why));
            found.exit_code = exit_code_of(error, found.exit_code);
          },
  };
  for (const std::string& path : paths) {
    auto locks = core::locks_below(path, observer);
    if (!locks) return failure_from(locks.error());
    std::move(locks->begin(), locks->end(), std::back_inserter(found.locks));
  }
  return std::nullopt;
}

std::optional<Failure> find(const StatusOptions& options, const Viewer& viewer, Found& found) {
  if (options.all) {
    core::LocksInUse in_use = core::locks_in_use();
    found.locks = std::move(in_use.locks);
    found.unseen = {in_use.unnamed, in_use.may_lack_unnamed, in_use.may_lack_namespaces};
    return std::nullopt;
  }
  std::vector<std::string> paths = options.paths;
  if (paths.empty()) paths = {core::enclosing_path().value_or(".")};
  if (options.recursive) return find_below(paths, viewer, found);
  for (const std::string& path : paths) {
    auto locks = core::locks_of(path, *options.global.layouts, *options.slots);
    if (!locks) return failure_from(locks.error());
    std::move(locks->begin(), locks->end(), std::back_inserter(found.locks));
  }
  return std::nullopt;
}

// What is unknown may be held.
bool may_be_in_use(const core::LockReport& lock) {
  return lock.file.state == core::LockState::held || lock.file.state == core::LockState::unknown ||
         !lock.file.waiters.empty();
}

StatusReport report_of(const Found& found, const StatusOptions& options, const Viewer& viewer) {
  const core::HolderSearch search = {.gives_up = viewer.gives_up};
  StatusReport report;
  report.host = sys::host_name();
  report.taken_at = core::utc_now();
  report.locks = core::survey(found.locks, *options.slots, search);
  report.unseen = found.unseen;
  if (options.held || options.all) std::erase_if(report.locks, std::not_fn(may_be_in_use));
  std::vector<pid_t> concerned;
  for (const core::LockReport& lock : report.locks) {
    for (const auto* parties : {&lock.file.holders, &lock.file.waiters}) {
      for (const core::Party& party : *parties) concerned.push_back(party.pid.value_or(0));
    }
  }
  if (!concerned.empty()) report.deadlocks = core::deadlocks_of(concerned);
  return report;
}

std::string nothing_to_tell(const StatusOptions& options, const StatusReport& report) {
  if (report.unseen && !report.unseen->is_nothing()) return "no lock of grex that can be seen from here is held\n";
  if (options.held || options.all) return "no lock is held or waited for\n";
  return options.recursive ? "no lock file there\n" : "no lock file there yet; -v tells where each would be\n";
}

// What --all could not see, a line each.
std::string unseen_text(const StatusReport& report) {
  std::string text;
  if (!report.unseen) return text;
  if (report.unseen->files > 0) {
    text += fmt::format("not told: {} locked by processes that may not be looked at; root sees all\n",
                        report.unseen->files == 1 ? "a file" : fmt::format("{} files", report.unseen->files));
  }
  if (report.unseen->more_files) text += "not told: what was missed while the kernel's list of locks kept changing\n";
  if (report.unseen->other_namespaces) text += "not told: what processes of other PID namespaces hold\n";
  return text;
}

std::string shown(const StatusReport& report, const StatusOptions& options, const Viewer& viewer) {
  if (options.global.json) return status_document(report);
  if (options.graph) return status_graph(report);
  std::string text = status_text(report, {use_color(options.global.color) ? Colored::yes : Colored::no,
                                          options.verbose ? Telling::everything : Telling::briefly, viewer.columns});
  if (text.empty()) text = nothing_to_tell(options, report);
  return text + unseen_text(report);
}

// Live, notes are part of what is shown.
void tell_notes(const std::vector<std::string>& notes, const Viewer& viewer, std::string& text) {
  for (const std::string& line : notes) {
    if (viewer.on_screen) {
      text += printable(line) + "\n";
    } else {
      note(line);
    }
  }
}

void define(Parser& parser, StatusOptions& options) {
  add_paths(parser, options.paths);
  add_global_options(parser, options.global);
  auto* const recursive = parser.add_flag("-r,--recursive", options.recursive, "every lock file below each PATH");
  auto* const all = parser.add_flag("--all", options.all, "every lock that is held on this machine");
  recursive->group("Which locks");
  all->group("Which locks");
  Parser::exclude(all, recursive);
  parser.add_flag("--held", options.held, "only what is held or waited for")->group("Which locks");
  // A flag, and so its value has to follow in the same word.
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

std::optional<Outcome> parse_status(const Invocation& invocation, StatusOptions& options) {
  if (!invocation.has_only_paths()) return parse(invocation, options, define);
  options.paths = invocation.arguments;
  return std::nullopt;
}

std::optional<Failure> complete_choice(StatusOptions& options) {
  if (options.all && !options.paths.empty()) return usage_failure("--all takes no PATH", "'-r PATH' looks below one");
  if (options.graph && options.global.json) return usage_failure("--graph is not JSON", "leave out one of them");
  if (options.watch.empty()) return std::nullopt;
  options.interval = interval_form.parse(options.watch);
  if (options.interval) return std::nullopt;
  return usage_failure("--watch: " + not_of_form(options.watch, interval_form.description),
                       "see 'grex-lock status --help'");
}

}  // namespace

Outcome status(const Invocation& invocation) {
  StatusOptions options;
  if (auto outcome = parse_status(invocation, options)) return *outcome;
  if (auto failure = complete(options.global)) return failed(*failure);
  if (auto failure = apply_default(options.slots)) return failed(*failure);
  if (auto failure = complete_choice(options)) return failed(*failure);

  int exit_code = 0;
  const auto look = [&](const Viewer& viewer) -> std::variant<std::string, Failure> {
    Found found;
    if (auto failure = find(options, viewer, found)) return *failure;
    exit_code = found.exit_code;
    std::string text = shown(report_of(found, options, viewer), options, viewer);
    tell_notes(found.notes, viewer, text);
    return text;
  };
  if (options.interval) {
    const bool is_live = is_screen() && !options.global.json;
    return is_live ? watch_on_screen(*options.interval, look) : watch_in_lines(*options.interval, look);
  }
  Viewer viewer;
  if (sys::is_terminal(STDOUT_FILENO)) viewer.columns = sys::columns_of(STDOUT_FILENO);
  const auto seen = look(viewer);
  if (const auto* failure = std::get_if<Failure>(&seen)) return failed(*failure);
  Outcome outcome = print(std::get<std::string>(seen));
  if (!outcome.failure) outcome.exit_code = exit_code;
  return outcome;
}

}  // namespace grex::cli
