#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/deadline.hpp"
#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/child_status.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"
#include "sys/process/daemonize.hpp"
#include "sys/process/hold_wait.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::cli {
namespace {

struct HoldOptions {
  GlobalOptions global;
  LockOptions lock;
  bool detach = false;
  bool print_export = false;
  bool until_input_ends = false;
  std::optional<int> while_pid;
  std::optional<std::chrono::nanoseconds> duration;
};

void define(Parser& parser, HoldOptions& options) {
  add_global_options(parser, options.global);
  add_lock_options(parser, options.lock);
  auto* const detach =
      parser.add_flag("--detach", options.detach, "return once locked; a background holder stays")->group("Holding");
  add_number(parser, "--while-pid", options.while_pid, "PID", "until that process ends")->group("Holding");
  add_duration(parser, "--for", options.duration, "until so much time has passed")->group("Holding");
  auto* const until_input_ends =
      parser.add_flag("--stdin", options.until_input_ends, "until the end of standard input")->group("Holding");
  Parser::exclude(until_input_ends, detach);
  parser.add_flag("--export", options.print_export, "with --detach: print the stack, for eval")->group("Holding");
  parser.set_help("Take the locks and keep them, without a command, until told to stop.",
                  "grex-lock hold [OPTIONS] [PATH...]\n"
                  "       (default PATH: the pack around the current directory)",
                  "Examples:\n"
                  "  grex-lock hold --detach --while-pid $$ ~/ws/app   # the rest of a script\n"
                  "  grex-lock hold --detach --for 10m --note 'hands off' ~/ws/app");
}

std::string announcement(const Acquired& acquired, const HoldOptions& options) {
  if (options.print_export) return export_line(acquired.stack);
  if (options.global.json) return held_document("hold", core::entries_of(acquired.locks));
  if (acquired.locks.empty()) return "nothing to hold\n";
  return fmt::format("pid {} holds {}\n", sys::own_pid(), printable(paths_of(acquired.locks)));
}

// Prints the announcement. What a caller has closed, or does not read in time, needs no
// message; but a result that it asked for must reach it.
Outcome announce(const Acquired& acquired, const HoldOptions& options, const sys::HoldEnds& ends) {
  const bool is_result = options.print_export || options.global.json;
  if (!is_result && sys::access_of(STDOUT_FILENO) == sys::Access::closed) return ExitStatus{};
  const Outcome printed = print(announcement(acquired, options), ends.deadline, ends.pidfd);
  return !printed && printed.error().err == ECANCELED ? ExitStatus{} : printed;
}

// Takes the locks, unless the process of --while-pid ends first.
Result<Acquired, Failure> take_while(int pidfd, Plan plan, const HoldOptions& options, Events& events) {
  sys::ExitWatcher watcher;
  if (pidfd >= 0) {
    if (auto started = watcher.start(pidfd); !started) return failure_from(started.error());
  }
  return take(std::move(plan), options.lock, options.global, events);
}

// Moves to the background with the locks. A Failure means that it did not: a signal
// for the caller arrived at the last moment, or the caller is gone.
Result<void, Failure> detach(sys::Background& background, const Acquired& acquired, const sys::BlockedSignals& signals,
                             const HoldOptions& options, int pidfd, Events& events) {
  events.started(sys::own_pid());
  finish_output(events);
  const auto session = background.new_session(signals.fd());
  if (const auto signal = signals.next()) {
    return cancelled_failure(name_of(acquired.locks.front()), *signal, busy_report_of(options.lock));
  }
  if (!session) return failure_from(session.error());
  std::vector<int> keep = core::descriptors_of(acquired.locks);
  for (const int directory : core::directories_of(acquired.locks)) keep.push_back(directory);
  keep.push_back(signals.fd());
  if (pidfd >= 0) keep.push_back(pidfd);
  if (auto detached = background.detach(keep); !detached) return failure_from(detached.error());
  return {};
}

// Takes the locks, announces them, and keeps them. `background` is null in the
// foreground; `pidfd` is that of --while-pid, or -1.
Outcome acquire_and_hold(Plan plan, const HoldOptions& options, int pidfd, sys::Background* background,
                         Events& events) {
  // From here on, a signal ends only the wait or the hold, and nothing in between.
  const auto signals = sys::BlockedSignals::begin();
  if (!signals) return failure_from(signals.error());
  auto acquired = take_while(pidfd, std::move(plan), options, events);
  if (!acquired) return acquired.error();
  sys::HoldEnds ends{{}, pidfd, options.until_input_ends};
  if (options.duration) ends.deadline = Deadline::clock::now() + *options.duration;
  identify_writer(*acquired, options.lock);
  write_records(*acquired, options.lock, {"hold", "grex-lock", options.while_pid});
  Outcome announced = announce(*acquired, options, ends);
  if (!announced) return announced;
  if (background != nullptr) {
    if (acquired->locks.empty()) return ExitStatus{};
    const auto detached = detach(*background, *acquired, *signals, options, pidfd, events);
    if (!detached) return detached.error();
  }
  const auto ended = sys::wait_until_released(*signals, ends);
  core::release_all(acquired->locks, exit_code::ok);
  if (background == nullptr) events.released(exit_code::ok);
  if (!ended) return failure_from(ended.error());
  return ExitStatus{};
}

// A pidfd of the process of --while-pid; empty without that option.
Result<UniqueFd, Failure> open_watched_process(const HoldOptions& options) {
  if (!options.while_pid) return UniqueFd();
  auto process = sys::open_process(*options.while_pid);
  if (!process && process.error().kind != ErrorKind::not_found) return failure_from(process.error());
  // One that its parent has not reaped yet can be opened.
  const bool has_ended = process && sys::wait_for_end(process->get(), Deadline::clock::now());
  if (process && !has_ended) return std::move(*process);
  return usage_failure(has_ended ? fmt::format("--while-pid: process {} has ended", *options.while_pid)
                                 : fmt::format("--while-pid: there is no process {}", *options.while_pid),
                       "$$ is the shell's own number");
}

// A shell that evaluates the output waits for its end: without --detach, forever.
Failure export_without_detach(const CommandLine& line) {
  std::vector<std::string> words = {"grex-lock", "hold", "--detach"};
  // --stdin and --detach exclude each other.
  std::remove_copy(line.arguments.begin(), line.arguments.end(), std::back_inserter(words), "--stdin");
  return usage_failure("--export needs --detach: the shell waits for the end of the output",
                       "try: " + shell_line(words));
}

Outcome hold_locks(const HoldOptions& options, Events& events) {
  const auto watched = open_watched_process(options);
  if (!watched) return watched.error();
  auto plan = make_plan(options.lock, options.global);
  if (!plan) return with_create_hint(std::move(plan.error()));
  if (options.print_export) {
    if (auto fits = refuse_long_stack(*plan); !fits) return fits.error();
  }
  sys::restore_sigterm();
  if (!options.detach) {
    return acquire_and_hold(std::move(*plan), options, watched->get(), nullptr, events);
  }
  standard_error().finish({Deadline::clock::now(), {-1, -1}});  // its thread would not be forked
  auto forked = sys::fork_background();
  if (!forked) return failure_from(forked.error());
  if (const auto* const end = std::get_if<sys::BackgroundEnd>(&*forked)) {
    const auto* const ended = std::get_if<sys::ChildEnd>(end);
    return ended != nullptr ? status_of(*ended) : ExitStatus{};
  }
  auto& background = std::get<sys::Background>(*forked);
  return acquire_and_hold(std::move(*plan), options, watched->get(), &background, events);
}

}  // namespace

Outcome hold(const CommandLine& line, Events& events) {
  HoldOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  if (options.print_export && options.global.json) {
    return usage_failure("--export and --json exclude each other", "see 'grex-lock hold --help'");
  }
  if (options.print_export && !options.detach) return export_without_detach(line);
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied.error();
  if (auto applied = apply_env_default(options.lock.git_exclude); !applied) return applied.error();
  events.open(options.lock.status_fd);
  return hold_locks(options, events);
}

}  // namespace grex::cli
