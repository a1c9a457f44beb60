#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <chrono>
#include <functional>

#include "cli/commands.hpp"
#include "cli/defaults.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/parser.hpp"
#include "cli/report_json.hpp"
#include "cli/status_graph.hpp"
#include "cli/status_report.hpp"
#include "cli/status_text.hpp"
#include "cli/watch.hpp"
#include "core/target.hpp"
#include "sys/file.hpp"
#include "sys/proc.hpp"
#include "sys/terminal.hpp"

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
  ~Progress() {
    if (next_ != first_) (void)sys::write_all(STDERR_FILENO, erase_line);
  }
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void tell(std::size_t directories, std::size_t files) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ || !can_redraw_on_stderr()) return;
    next_ = now + std::chrono::seconds(1);
    (void)sys::write_all(STDERR_FILENO, fmt::format("{}grex-lock: {} directories, {} lock files so far", erase_line,
                                                    directories, files));
  }

 private:
  const std::chrono::steady_clock::time_point first_ = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  std::chrono::steady_clock::time_point next_ = first_;
};

// What was found, and the exit status that tells of what was not.
struct Found {
  std::vector<core::FoundLock> locks;
  int exit_code = 0;
};

std::optional<Failure> find_below(const std::vector<std::string>& paths, Found& found) {
  Progress progress;
  const core::SearchObserver observer = {
      .on_progress = [&](std::size_t directories, std::size_t files) { progress.tell(directories, files); },
      .on_unreadable =
          [&](const Error& error) {
            const Failure failure = failure_from(error);
            note(fmt::format("{}: {}: {}", failure.what, failure.path, failure.why));
            found.exit_code = failure.exit_code;
          },
  };
  for (const std::string& path : paths) {
    auto locks = core::locks_below(path, observer);
    if (!locks) return failure_from(locks.error());
    std::move(locks->begin(), locks->end(), std::back_inserter(found.locks));
  }
  return std::nullopt;
}

void find_in_use(Found& found) {
  core::LocksInUse in_use = core::locks_in_use();
  found.locks = std::move(in_use.locks);
  if (in_use.unnamed > 0) {
    note(fmt::format("{} locked files of processes that may not be looked at are left out; root sees all",
                     in_use.unnamed));
  }
}

std::optional<Failure> find(const StatusOptions& options, Found& found) {
  if (options.all) {
    find_in_use(found);
    return std::nullopt;
  }
  std::vector<std::string> paths = options.paths;
  if (paths.empty()) paths = {core::enclosing_path().value_or(".")};
  if (options.recursive) return find_below(paths, found);
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

StatusReport report_of(const std::vector<core::FoundLock>& locks, const StatusOptions& options) {
  StatusReport report{sys::host_name(), core::utc_now(), core::survey(locks, *options.slots), {}};
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

std::string nothing_to_tell(const StatusOptions& options) {
  if (options.held || options.all) return "no lock is held or waited for\n";
  return options.recursive ? "no lock file there\n" : "no lock file there yet; -v tells where each would be\n";
}

std::string shown(const StatusReport& report, const StatusOptions& options, std::optional<std::size_t> columns) {
  if (options.global.json) return status_document(report);
  if (options.graph) return status_graph(report);
  std::string text = status_text(report, {use_color(options.global.color) ? Colored::yes : Colored::no,
                                          options.verbose ? Telling::everything : Telling::briefly, columns});
  return text.empty() ? nothing_to_tell(options) : text;
}

void add_status_options(CLI::App& app, StatusOptions& options) {
  add_global_options(app, options.global);
  add_paths(app, options.paths);
  auto* const recursive = app.add_flag("-r,--recursive", options.recursive, "every lock file below each PATH");
  app.add_flag("--all", options.all, "every lock that is held on this machine")
      ->excludes(recursive)
      ->group("Which locks");
  recursive->group("Which locks");
  app.add_flag("--held", options.held, "only what is held or waited for")->group("Which locks");
  // A flag, and so its value has to follow in the same word.
  auto* const watch = app.add_flag("--watch{2}", options.watch, "again and again, live on a terminal");
  watch->type_name("SECONDS")->group("How");
  app.add_flag("--graph", options.graph, "who waits for whom, as Graphviz DOT")->excludes(watch)->group("How");
  app.add_flag("-v,--verbose", options.verbose, "also what is absent, and all that is known")->group("How");
  set_help(app, "grex-lock status [OPTIONS] [PATH...]",
           "Examples:\n"
           "  grex-lock status -r --held ~/ws\n"
           "  grex-lock status --json ~/ws/app | jq '.locks[] | select(.state == \"held\")'");
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
  CLI::App app("Tell who holds the locks of each PATH, and who waits. Changes nothing.", "grex-lock status");
  add_status_options(app, options);
  if (auto outcome = parse(app, invocation)) return *outcome;
  if (auto failure = complete(options.global)) return failed(*failure);
  if (auto failure = apply_default(options.slots)) return failed(*failure);
  if (auto failure = complete_choice(options)) return failed(*failure);

  Found found;
  const auto look = [&](std::optional<std::size_t> columns) -> std::variant<std::string, Failure> {
    found = {};
    if (auto failure = find(options, found)) return *failure;
    return shown(report_of(found.locks, options), options, columns);
  };
  const bool on_screen = is_screen() && !options.global.json;
  if (options.interval) {
    return on_screen ? watch_on_screen(*options.interval, look) : watch_in_lines(*options.interval, look);
  }
  const auto seen = look(is_screen() ? std::optional<std::size_t>(sys::columns_of(STDOUT_FILENO)) : std::nullopt);
  if (const auto* failure = std::get_if<Failure>(&seen)) return failed(*failure);
  Outcome outcome = print(std::get<std::string>(seen));
  if (!outcome.failure) outcome.exit_code = found.exit_code;
  return outcome;
}

}  // namespace grex::cli
