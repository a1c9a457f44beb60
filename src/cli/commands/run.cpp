#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/child_status.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/grex_command.hpp"
#include "cli/commands/program.hpp"
#include "cli/commands/run_line.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/cluster_watch.hpp"
#include "cli/locking/command_loss.hpp"
#include "cli/locking/deadlock_watch.hpp"
#include "cli/locking/lost_watch.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/stack_limit.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/inspect/remaining.hpp"
#include "sys/file/file.hpp"
#include "sys/process/child.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/worker_thread.hpp"
#include "sys/signal/forwarded_signals.hpp"
#include "sys/signal/signals.hpp"

namespace grex::cli {
namespace {

enum class Inherit { lock, nothing };
enum class AtEnd { unlock, leave_to_inheritors };

struct RunOptions {
  GlobalOptions global;
  LockOptions lock;
  std::optional<std::string> shell_command;
  Inherit inherit = Inherit::lock;
  AtEnd at_end = AtEnd::unlock;
  bool in_place = false;
  bool new_scope = false;
  std::optional<IfLost> if_lost;
};

void define(Parser& parser, RunOptions& options) {
  add_lock_options(parser, options.lock, options.global);
  add_cluster_options(parser, options.lock.cluster, WithLease::yes);
  parser.begin_group("Command");
  parser.add_option("-c,--command", options.shell_command, "run STRING with $SHELL instead of CMD")
      ->type_name("STRING");
  parser.add_flag_callback(
      "-o,--close", [&options] { options.inherit = Inherit::nothing; }, "don't let CMD inherit the lock");
  auto* const no_fork = parser.add_flag("-F,--no-fork", options.in_place, "replace grex-lock with CMD");
  auto* const linger = parser.add_flag_callback(
      "--linger", [&options] { options.at_end = AtEnd::leave_to_inheritors; },
      "stay locked until CMD's processes have ended");
  parser.exclude(no_fork, "--close");
  parser.exclude(linger, "--close");
  parser.add_flag("--new-scope", options.new_scope, "start CMD with an empty tier stack");
  auto* const if_lost = add_if_lost_option(parser, options.if_lost);
  // With these, no grex-lock process stays that could notice it.
  parser.exclude(if_lost, "--no-fork");
  parser.exclude(if_lost, "--linger");
  add_report_options(parser, options.lock, options.global, "print errors as JSON");
  parser.set_help("Take locks, run CMD, release the locks, and exit with CMD's status.",
                  "grex-lock run [OPTIONS] [PATH...] -- CMD [ARG...]\n"
                  "       grex-lock run [OPTIONS] [PATH...] -c STRING",
                  "Example: grex-lock run --guard -w 2m ~/ws/app -- make -C ~/ws/app");
}

Result<Parsed, Failure> parse_run(const CommandLine& line, RunOptions& options) {
  const bool may_have_command = line.wrapped == nullptr;
  std::vector<std::string> extras;
  if (line.has_only_paths()) {
    options.lock.paths = line.arguments;
  } else {
    auto parsed = parse(line, [&](Parser& parser) {
      options = RunOptions{};
      define(parser, options);
      // Words that could be a command are kept for the error message, not refused.
      if (may_have_command) parser.allow_extras()->callback([&] { extras = parser.remaining(); });
    });
    if (!parsed && may_have_command) {
      if (auto missing = find_missing_separator(line, nullptr)) return std::move(*missing);
    }
    if (!has_options(parsed)) return parsed;
  }

  const bool may_create =
      options.lock.create == core::CreateTarget::yes || options.lock.tier_of_paths() == core::Tier::backend;
  const bool paths_may_be_missing = options.shell_command || may_create;
  if (options.shell_command && may_have_command && !may_create) {
    if (auto wrong = check_shell_command(line, options.lock.paths)) return std::move(*wrong);
  }
  const auto& words = line.arguments;
  const CommandStart start = may_have_command
                                 ? find_command_start(words, options.lock.paths, extras, paths_may_be_missing)
                                 : CommandStart{words.size()};
  if (start.is_option) {
    return parse(line, options, define);  // that refuses it
  }
  if (options.shell_command) {
    if (may_have_command) return Parsed::options;
    return usage_failure("-c STRING and -- CMD cannot be used together", {});
  }
  if (start.at < words.size()) return not_a_path(line, options.lock, std::move(extras), start.at);
  if (!may_have_command && *line.wrapped != nullptr) {
    if (auto wrong = check_wrapped_path(line, options.lock)) return std::move(*wrong);
    return Parsed::options;
  }
  return missing_command(line, options.lock);
}

// How the command ended, in numbers: its exit status, and the signal that killed it.
struct CommandEnd {
  int exit_code = 0;
  std::optional<int> signal = {};
};

CommandEnd numbers_of(const sys::ChildEnd& end) {
  return {status_of(end).code, end.killed ? std::optional(end.status) : std::nullopt};
}

void abandon_all(std::vector<core::HeldLock>& locks, std::optional<int> exit_code) {
  for (core::HeldLock& lock : locks) lock.abandon(exit_code);
  locks.clear();
}

// Releases the locks as the options say, and reports it, with what was found of lost ones; that may
// be null.
void release_locks(Acquired& acquired, const RunOptions& options, const Events& events, CommandEnd end,
                   CommandLoss* loss = nullptr) {
  const bool unlock = options.at_end == AtEnd::unlock;
  const std::string paths = paths_of(acquired.locks);
  const std::string in_cluster = cluster_names_of(acquired.locks);
  if (acquired.cluster) acquired.cluster->release();
  if (unlock) {
    core::release_all(acquired.locks, end.exit_code);
  } else {
    abandon_all(acquired.locks, end.exit_code);
  }
  if (loss != nullptr) loss->files().report();
  const bool is_lost = loss != nullptr && loss->must_stop();
  if (!is_lost) finish_cluster_release(acquired, in_cluster, options.lock);
  events.released(end.exit_code, end.signal);
  if (options.lock.verbosity == Verbosity::verbose && !paths.empty()) {
    note((unlock ? "unlocked " : "left locked for the processes of CMD: ") + paths);
  }
}

// The command does not run.
Failure give_up(Acquired& acquired, const RunOptions& options, const Events& events, Failure failure) {
  release_locks(acquired, options, events, {failure.exit_code});
  return failure;
}

// The processes that a command left running with the locks, although it was killed or
// asked to end. If it ended by itself, it left them on purpose.
core::Remaining find_remaining(const Acquired& acquired, const RunOptions& options, const sys::ChildEnd& end) {
  const bool is_unlocked = options.inherit == Inherit::lock && options.at_end == AtEnd::unlock;
  if (!is_unlocked || !(end.killed || end.asked_to_end)) return {};
  return core::remaining_processes(acquired.locks, end.session, acquired.cluster ? acquired.cluster->liveness() : -1);
}

// Names them. One of them may be stuck in the kernel, and then reading its arguments blocks,
// too.
std::vector<core::LockProcess> describe(const core::Remaining& remaining, sys::Mode mode) {
  if (remaining.pids.empty()) return {};
  auto described = sys::result_within<std::vector<core::LockProcess>>(
      std::chrono::seconds(1), [pids = remaining.pids, mode] { return core::describe_holders(pids, mode); });
  if (described) return std::move(*described);
  std::vector<core::LockProcess> numbers(remaining.pids.size());
  std::transform(remaining.pids.begin(), remaining.pids.end(), numbers.begin(), [](pid_t pid) {
    core::LockProcess process;
    process.pid = pid;
    return process;
  });
  return numbers;
}

std::string text_about(const std::string& paths, const core::Remaining& remaining,
                       const std::vector<core::LockProcess>& processes) {
  if (processes.empty()) {
    return fmt::format("may still be locked: {}: it is not known what processes CMD left running", paths);
  }
  return fmt::format("{}: {}: CMD {} processes running: {}",
                     remaining.has_seen_lock ? "still locked" : "may still be locked", paths,
                     remaining.has_seen_lock ? "left" : "may have left", process_list(processes));
}

// Leaves the locks to the remaining processes, and reports it: unlocking would let
// another command in beside them. If there are none, that unlocks, too.
void leave_locks(Acquired& acquired, const core::Remaining& remaining, const RunOptions& options, const Events& events,
                 CommandEnd end, LostWatch& watch) {
  const std::string paths = paths_of(acquired.locks);
  watch.expect_inheritors();
  abandon_all(acquired.locks, end.exit_code);
  const std::vector<core::LockProcess> processes = describe(remaining, options.lock.mode);
  watch.report();
  events.inherited(processes, end.exit_code, end.signal);
  if (options.lock.verbosity == Verbosity::quiet) return;
  note(text_about(paths, remaining, processes));
}

// The remaining processes after CMD, under locks of a cluster. If CMD was killed without having been
// asked to end, it could not end what it had started, in whatever session.
core::Remaining remaining_in_cluster(const Acquired& acquired, const RunOptions& options, const sys::ChildEnd& end,
                                     CommandLoss& loss) {
  core::Remaining remaining = find_remaining(acquired, options, end);
  if (!end.killed || end.asked_to_end) return remaining;
  for (const pid_t pid : loss.reap_and_find_left()) {
    const bool is_new = std::find(remaining.pids.begin(), remaining.pids.end(), pid) == remaining.pids.end();
    if (is_new) remaining.pids.push_back(pid);
    remaining.has_seen_lock = true;
  }
  return remaining;
}

// A lock of a cluster lasts only while a process renews it, so this one waits for what the command
// left running, and for what that starts.
void wait_for_remaining(const Acquired& acquired, const RunOptions& options, const sys::ChildEnd& end,
                        const sys::ForwardedSignals& signals, CommandLoss& loss) {
  bool is_noted = options.lock.verbosity == Verbosity::quiet;
  for (;;) {
    const core::Remaining remaining = remaining_in_cluster(acquired, options, end, loss);
    if (remaining.pids.empty() || loss.must_stop()) return;
    if (!std::exchange(is_noted, true)) {
      note(text_about(paths_of(acquired.locks), remaining, describe(remaining, options.lock.mode)) +
           "; waiting for them to end");
    }
    loss.wait_for(remaining.pids, signals);
  }
}

// A signal that arrived after the last lock was taken, and before the command exists.
std::optional<Failure> interruption(const Acquired& acquired, const RunOptions& options) {
  const auto signal = sys::ForwardedSignals::next_unignored();
  if (!signal) return std::nullopt;
  const LockName lock = acquired.locks.empty() ? LockName{} : name_of(acquired.locks.front());
  return cancelled_failure(lock, *signal, busy_report_of(options.lock));
}

// Waits until the command ends, and releases the locks.
Outcome wait_for_command(sys::Child& child, Acquired& acquired, const RunOptions& options,
                         const sys::ForwardedSignals& signals, const Events& events, CommandLoss& loss) {
  events.started(child.pid());
  RecordCompletion completion(acquired, options.lock);
  DeadlockWatch waiters(acquired.locks, child.pid(), DeadlockWatch::Root::command, options.lock, events);
  std::vector<sys::TimedWork*> works = {&completion, &waiters};
  if (options.at_end == AtEnd::unlock) loss.watch(child.pid(), works);
  const sys::ChildObserver observer = {
      .unforwarded =
          [&options, pid = child.pid()](int signal, const Error& error) {
            if (options.lock.verbosity == Verbosity::quiet) return;
            note(fmt::format("cannot forward {} to CMD (pid {}): {}", sys::name_of_signal(signal), pid,
                             failure_from(error).why));
          },
      .works = works,
      .other_child = [&loss] { loss.reap_adopted(); },
      .news = [&loss] { loss.look_at_cluster(); }};
  const auto end = child.wait(observer);
  loss.look_at_cluster();
  LostWatch& watch = loss.files();
  waiters.end();
  if (options.at_end == AtEnd::unlock) watch.look_last();
  if (!end) {
    Failure failure = failure_from(end.error());
    leave_locks(acquired, {{}, false, true}, options, events, {failure.exit_code}, watch);  // it may still run
    return failure;
  }
  if (acquired.cluster) wait_for_remaining(acquired, options, *end, signals, loss);
  if (loss.must_stop()) {
    loss.finish_stop(signals);
    release_locks(acquired, options, events, {exit_code::lost}, &loss);
    return loss.failure();
  }
  const core::Remaining remaining = acquired.cluster ? core::Remaining() : find_remaining(acquired, options, *end);
  if (remaining.is_none()) {
    release_locks(acquired, options, events, numbers_of(*end), &loss);
  } else {
    leave_locks(acquired, remaining, options, events, numbers_of(*end), watch);
  }
  return status_of(*end);
}

Outcome run_under(Acquired& acquired, const Program& program, const RunOptions& options,
                  const sys::ForwardedSignals& signals, Events& events) {
  std::vector<int> fds;
  if (options.inherit == Inherit::lock) fds = core::descriptors_of(acquired.locks);
  if (acquired.cluster) fds.push_back(acquired.cluster->liveness());
  sys::Command command = program.command(fds);
  command.dies_with_parent = acquired.cluster != nullptr;
  if (auto interrupted = interruption(acquired, options)) {
    return give_up(acquired, options, events, std::move(*interrupted));
  }
  if (options.in_place) {
    events.started(sys::own_pid());
    finish_log(events);
    signals.restore();
    return give_up(acquired, options, events, program.start_failure(sys::exec_in_place(command)));
  }
  const IfLost if_lost = options.at_end == AtEnd::unlock ? options.if_lost.value() : IfLost::warn;
  CommandLoss loss(acquired, options.lock, if_lost, audience_of(options.lock, options.global, events), events);
  if (auto prepared = loss.prepare(); !prepared) {
    return give_up(acquired, options, events, std::move(prepared.error()));
  }
  auto child = sys::Child::start(command, signals);
  if (!child) return give_up(acquired, options, events, program.start_failure(child.error()));
  return wait_for_command(*child, acquired, options, signals, events, loss);
}

// Before the wait for the lock: after it, grex would fail or hang.
void check_grex_command(const CommandLine& line, const RunOptions& options, const Plan& plan) {
  if (options.lock.verbosity == Verbosity::quiet) return;
  if (const auto command = find_grex_command(words_of(line, options.shell_command))) warn_about_grex(*command, plan);
}

// A cluster's lock lasts as long as a grex-lock process renews it, and as the command has its
// liveness pipe open.
Result<void, Failure> refuse_in_cluster(const RunOptions& options) {
  const char* option = nullptr;
  if (options.inherit == Inherit::nothing) option = "--close";
  if (options.at_end == AtEnd::leave_to_inheritors) option = "--linger";
  if (options.in_place) option = "--no-fork";
  return option == nullptr ? Result<void, Failure>() : refuse_cluster(options.lock.cluster, option);
}

Outcome take_and_run(const CommandLine& line, const RunOptions& options, Events& events) {
  if (auto refused = refuse_in_cluster(options); !refused) return refused.error();
  auto plan = make_plan(options.lock, options.global);
  if (!plan) return std::move(plan.error());
  if (!options.new_scope) {
    if (auto fits = refuse_long_stack(*plan); !fits) return fits.error();
  }
  check_grex_command(line, options, *plan);
  // From here on, a signal ends only the wait or reaches the command.
  const sys::ForwardedSignals signals = sys::ForwardedSignals::begin();
  const Holder holder = {"run", program_of(line, options.shell_command)};
  auto acquired = take(std::move(*plan), options.lock, options.global, events, holder);
  if (!acquired) return acquired.error();
  const Program program(line, options.shell_command, options.new_scope ? core::TierStack() : acquired->stack,
                        acquired->cluster ? token_settings(acquired->locks) : std::vector<std::string>());
  if (options.in_place) identify_writer(*acquired, options.lock);  // no later time for it
  write_records(*acquired, options.lock, holder);
  if (options.lock.verbosity == Verbosity::verbose && acquired->locks.empty()) {
    note(nothing_to_lock(*acquired));
  }
  return run_under(*acquired, program, options, signals, events);
}

}  // namespace

Outcome run(const CommandLine& line, Events& events) {
  RunOptions options;
  if (const auto parsed = parse_run(line, options); !has_options(parsed)) return outcome_of(parsed);
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied.error();
  if (auto applied = apply_env_default(options.lock.git_exclude); !applied) return applied.error();
  if (auto applied = apply_env_default(options.if_lost); !applied) return applied.error();
  if (auto opened = open_events(events, options.lock); !opened) return opened.error();
  return take_and_run(line, options, events);
}

}  // namespace grex::cli
