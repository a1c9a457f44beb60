#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/deadline.hpp"
#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/child_status.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/cluster_watch.hpp"
#include "cli/locking/deadlock_watch.hpp"
#include "cli/locking/hold_loss.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/stack_limit.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"
#include "sys/process/daemonize.hpp"
#include "sys/process/hold_wait.hpp"
#include "sys/process/input_watcher.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::cli {
namespace {

struct HoldOptions {
  GlobalOptions global;
  LockOptions lock;
  bool detach = false;
  std::string export_value = {};  // as it was given
  std::optional<ExportForm> exports = {};
  bool until_input_ends = false;
  std::optional<int> while_pid;
  std::optional<std::chrono::nanoseconds> duration;
  std::optional<IfLost> if_lost;
};

void define(Parser& parser, HoldOptions& options) {
  add_lock_options(parser, options.lock, options.global);
  add_cluster_options(parser, options.lock.cluster, WithLease::yes);
  parser.begin_group("How long to keep the locks (whichever comes first)");
  add_pid(parser, "--while-pid", options.while_pid, "until process PID ends");
  add_duration(parser, "--for", options.duration, "until DURATION has passed");
  parser.add_flag("--stdin", options.until_input_ends, "until standard input ends");
  parser.begin_group("Holding");
  auto* const detach =
      parser.add_flag("--detach", options.detach, "return once locked; keep holding in the background");
  parser.exclude(detach, "--stdin");
  auto* const exporting = add_export_option(parser, options.export_value);
  add_if_lost_option(parser, options.if_lost);
  add_report_options(parser, options.lock, options.global);
  parser.exclude(exporting, "--json");
  parser.set_help("Take locks and keep them, without a command, until stopped.", "grex-lock hold [OPTIONS] [PATH...]",
                  "Example: grex-lock hold --detach --for 10m ~/ws/app");
}

std::string announcement(const Acquired& acquired, const HoldOptions& options) {
  if (options.exports) return export_line(acquired.stack, *options.exports);
  if (options.global.json) return held_document("hold", core::entries_of(acquired.locks));
  const std::string in_cluster = cluster_text_of(acquired.locks);
  return fmt::format("pid {} holds {}{}\n", sys::own_pid(), printable(paths_of(acquired.locks)),
                     in_cluster.empty() ? "" : "; in the cluster: " + printable(in_cluster));
}

// Prints the announcement. What a caller has closed, or does not read in time, needs no
// message; but a result that it asked for must reach it.
Outcome announce(const Acquired& acquired, const HoldOptions& options, const sys::HoldEnds& ends) {
  const bool is_result = options.exports || options.global.json;
  if (!is_result && acquired.locks.empty()) {
    if (options.lock.verbosity != Verbosity::quiet) note(nothing_to_lock(acquired));
    return ExitStatus{};
  }
  if (!is_result && sys::access_of(STDOUT_FILENO) == sys::Access::closed) return ExitStatus{};
  const Outcome printed = print(announcement(acquired, options), ends.deadline, ends.pidfd);
  return !printed && printed.error().err == ECANCELED ? ExitStatus{} : printed;
}

// What really ended a wait that SIGTERM seemed to end.
Failure with_cause(Failure cancelled, const HoldOptions& options, int pidfd, const sys::InputWatcher& input) {
  const auto ended = input.ended();
  if (ended && !*ended) return failure_from(ended->error());
  if (ended) {
    cancelled.why = "standard input has ended";
  } else if (pidfd >= 0 && sys::wait_for_end(pidfd, Deadline::clock::now())) {
    cancelled.why = fmt::format("process {} has ended", *options.while_pid);
  }
  return cancelled;
}

Holder holder_of(const HoldOptions& options) { return {"hold", "grex-lock", options.while_pid}; }

// Takes the locks, unless the process of --while-pid or, with --stdin, the input ends first.
Result<Acquired, Failure> take_while(int pidfd, Plan plan, const HoldOptions& options, Events& events) {
  sys::ExitWatcher watcher;
  if (pidfd >= 0) {
    if (auto started = watcher.start(pidfd); !started) return failure_from(started.error());
  }
  sys::InputWatcher input;
  if (options.until_input_ends) {
    if (auto started = input.start(); !started) return failure_from(started.error());
  }
  auto acquired = take(std::move(plan), options.lock, options.global, events, holder_of(options));
  const bool is_cancelled = !acquired && acquired.error().kind == ErrorKind::cancelled &&
                            acquired.error().exit_code == exit_code::signal_base + SIGTERM;
  return is_cancelled ? with_cause(std::move(acquired.error()), options, pidfd, input) : std::move(acquired);
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
  if (acquired.cluster) {
    for (const int descriptor : acquired.cluster->descriptors()) keep.push_back(descriptor);
  }
  keep.push_back(signals.fd());
  if (pidfd >= 0) keep.push_back(pidfd);
  if (auto detached = background.detach(keep); !detached) return failure_from(detached.error());
  events.leave_caller();
  return {};
}

// Keeps the locks until one of `ends` happens or one of them is lost for which that must be
// the end, and releases them.
Outcome keep(Acquired& acquired, const HoldOptions& options, const sys::BlockedSignals& signals, sys::HoldEnds ends,
             const Events& events) {
  HoldLoss loss(acquired, options.lock, options.if_lost.value(), audience_of(options.lock, options.global, events),
                events);
  std::vector<sys::TimedWork*> works;
  const auto begun = loss.begin(ends, works);
  std::optional<DeadlockWatch> waiters;
  if (options.while_pid) {
    waiters.emplace(acquired.locks, *options.while_pid, DeadlockWatch::Root::watched_process, options.lock, events);
    works.push_back(&*waiters);
  }
  ends.works = works;
  const auto ended = begun ? sys::wait_until_released(signals, ends) : begun;
  waiters.reset();
  loss.files().look_last();
  const bool is_lost = loss.must_stop();
  const int code = is_lost ? exit_code::lost : exit_code::ok;
  if (is_lost && ends.pidfd >= 0) (void)sys::signal_process(ends.pidfd, SIGTERM);
  const std::string in_cluster = cluster_names_of(acquired.locks);
  if (acquired.cluster) acquired.cluster->release();
  core::release_all(acquired.locks, code);
  loss.files().report();
  if (!is_lost) finish_cluster_release(acquired, in_cluster, options.lock);
  events.released(code);
  if (!ended) return failure_from(ended.error());
  if (is_lost)
    return loss.failure(ends.pidfd >= 0 ? fmt::format("SIGTERM was sent to pid {}", *options.while_pid) : "");
  return ExitStatus{};
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
  write_records(*acquired, options.lock, holder_of(options));
  Outcome announced = announce(*acquired, options, ends);
  if (!announced) return announced;
  if (background != nullptr) {
    if (acquired->locks.empty()) return ExitStatus{};
    const auto detached = detach(*background, *acquired, *signals, options, pidfd, events);
    if (!detached) return detached.error();
  }
  return keep(*acquired, options, *signals, std::move(ends), events);
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
                       "$$ is the PID of the shell");
}

// A shell that evaluates the output waits for its end: without --detach, forever.
Failure export_without_detach(const CommandLine& line) {
  std::vector<std::string> words = {"--detach"};
  // --stdin and --detach cannot be used together.
  std::remove_copy(line.arguments.begin(), line.arguments.end(), std::back_inserter(words), "--stdin");
  return usage_failure("--export needs --detach: the shell waits for the end of the output",
                       "try: " + own_line("hold", std::move(words)));
}

Outcome hold_locks(const HoldOptions& options, Events& events) {
  const auto watched = open_watched_process(options);
  if (!watched) return watched.error();
  auto plan = make_plan(options.lock, options.global);
  if (!plan) return std::move(plan.error());
  if (options.exports) {
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
  const auto exports = export_form(options.export_value);
  if (!exports) return exports.error();
  options.exports = *exports;
  if (options.exports && !options.detach) return export_without_detach(line);
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied.error();
  if (auto applied = apply_env_default(options.lock.git_exclude); !applied) return applied.error();
  if (auto applied = apply_env_default(options.if_lost); !applied) return applied.error();
  if (auto opened = open_events(events, options.lock); !opened) return opened.error();
  return hold_locks(options, events);
}

}  // namespace grex::cli
