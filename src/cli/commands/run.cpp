#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/child_status.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/program.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/plan.hpp"
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
};

void define(Parser& parser, RunOptions& options) {
  add_global_options(parser, options.global);
  add_lock_options(parser, options.lock);
  parser.add_option("-c,--command", options.shell_command, "run STRING by $SHELL instead of CMD")
      ->type_name("STRING")
      ->group("Command");
  auto* const close = parser.add_flag_callback(
      "-o,--close", [&options] { options.inherit = Inherit::nothing; }, "CMD does not inherit the lock");
  auto* const no_fork = parser.add_flag("-F,--no-fork", options.in_place, "become CMD instead of waiting for it");
  auto* const linger = parser.add_flag_callback(
      "--linger", [&options] { options.at_end = AtEnd::leave_to_inheritors; },
      "stay locked until all that CMD left behind is gone");
  for (CLI::Option* const option : {close, no_fork, linger}) option->group("Command");
  Parser::exclude(close, no_fork);
  Parser::exclude(close, linger);
  parser.add_flag("--new-scope", options.new_scope, "CMD starts with an empty tier stack")->group("Command");
  parser.set_help(
      "Take the locks, run CMD, release the locks, and exit as CMD did.",
      "grex-lock run [OPTIONS] [PATH...] -- CMD [ARG...]\n       grex-lock run [OPTIONS] [PATH...] -c STRING\n"
      "       (default PATH: the pack around the current directory)",
      "Examples:\n"
      "  grex-lock run ~/ws/app -- git pull\n"
      "  grex-lock run -w 2m ~/ws/app ~/ws/lib -c 'make && make install'");
}

// The corrected line, with `--` before the word `first`.
std::string corrected_line(const CommandLine& line, std::size_t first) {
  std::vector<std::string> words = {"grex-lock", "run"};
  words.insert(words.end(), line.arguments.begin(), line.arguments.end());
  words.insert(words.end() - static_cast<std::ptrdiff_t>(line.arguments.size() - first), "--");
  return shell_line(words);
}

// Where the command begins in a line without `--`, or where an unknown option is,
// whichever comes first: the command's own options look like unknown ones.
struct Start {
  std::size_t at;
  bool is_option = false;
};

// `paths` and `extras` are the words that the parser took for PATHs and for unknown
// options, in their order. A word that names no directory is not a PATH.
Start find_command_start(const std::vector<std::string>& words, std::vector<std::string> paths,
                         std::vector<std::string> extras, bool paths_may_be_missing) {
  Start start{words.size()};
  // From the back: an option's value, before the PATHs, may equal one of them.
  for (std::size_t i = words.size(); i-- > 0;) {
    if (!extras.empty() && words[i] == extras.back()) {
      extras.pop_back();
      start = {i, true};
    } else if (!paths.empty() && words[i] == paths.back()) {
      if (!paths_may_be_missing && !sys::open_directory(paths.back())) start = {i};
      paths.pop_back();
    }
  }
  return start;
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
    if (!has_options(parsed)) return parsed;
  }

  const bool paths_may_be_missing = options.shell_command || options.lock.create == core::CreateTarget::yes ||
                                    options.lock.tier == core::Tier::backend;
  const auto& words = line.arguments;
  const Start start = may_have_command
                          ? find_command_start(words, options.lock.paths, std::move(extras), paths_may_be_missing)
                          : Start{words.size()};
  if (start.is_option) {
    return usage_failure(fmt::format("unknown option {}", words[start.at]), "see 'grex-lock run --help'");
  }
  if (options.shell_command) {
    if (may_have_command) return Parsed::options;
    return usage_failure("-c already names the command", "give either -c STRING or -- CMD");
  }
  if (start.at < words.size()) {
    return usage_failure("the command has to follow '--'", "try: " + corrected_line(line, start.at));
  }
  if (!may_have_command && *line.wrapped != nullptr) return Parsed::options;
  return usage_failure("no command to run", "try: " + corrected_line(line, words.size()) + " CMD");
}

// How the command ended, in numbers: its exit status, and the signal that killed it.
struct CommandEnd {
  int exit_code = 0;
  std::optional<int> signal = {};
};

CommandEnd numbers_of(const sys::ChildEnd& end) {
  return {status_of(end).code, end.killed ? std::optional(end.status) : std::nullopt};
}

void abandon_all(std::vector<core::HeldLock>& locks) {
  for (core::HeldLock& lock : locks) lock.abandon();
  locks.clear();
}

// Releases the locks as the options say, and reports it.
void release_locks(Acquired& acquired, const RunOptions& options, const Events& events, CommandEnd end) {
  const bool unlock = options.at_end == AtEnd::unlock;
  const std::string paths = paths_of(acquired.locks);
  if (unlock) {
    core::release_all(acquired.locks, end.exit_code);
  } else {
    abandon_all(acquired.locks);
  }
  events.released(end.exit_code, end.signal);
  if (options.lock.verbosity == Verbosity::verbose && !paths.empty()) {
    note((unlock ? "unlocked " : "left to its inheritors: ") + paths);
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
  return core::remaining_processes(acquired.locks, end.session);
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

// Leaves the locks to the remaining processes, and reports it: unlocking would let
// another command in beside them. If there are none, that unlocks, too.
void leave_locks(Acquired& acquired, const core::Remaining& remaining, const RunOptions& options, const Events& events,
                 CommandEnd end) {
  const std::string paths = paths_of(acquired.locks);
  abandon_all(acquired.locks);
  const std::vector<core::LockProcess> processes = describe(remaining, options.lock.mode);
  events.inherited(processes, end.exit_code, end.signal);
  if (options.lock.verbosity == Verbosity::quiet) return;
  if (processes.empty()) {
    note(fmt::format("may still be locked: {}: it is not known what the command has left running", paths));
  } else {
    note(fmt::format("{}: {}: the command has ended, but {}: {}",
                     remaining.has_seen_lock ? "still locked" : "may still be locked", paths,
                     remaining.has_seen_lock ? "left running" : "may have left running", process_list(processes)));
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
Outcome wait_for_command(sys::Child& child, Acquired& acquired, const RunOptions& options, const Events& events) {
  events.started(child.pid());
  const sys::ChildObserver observer = {
      .unforwarded =
          [&options, pid = child.pid()](int signal, const Error& error) {
            if (options.lock.verbosity == Verbosity::quiet) return;
            note(fmt::format("cannot forward {}: pid {}: {}", sys::name_of_signal(signal), pid,
                             failure_from(error).why));
          },
      .runs_on = [&acquired, &options] { complete_records(acquired, options.lock); }};
  const auto end = child.wait(observer);
  if (!end) {
    Failure failure = failure_from(end.error());
    leave_locks(acquired, {{}, false, true}, options, events, {failure.exit_code});  // it may still run
    return failure;
  }
  const core::Remaining remaining = find_remaining(acquired, options, *end);
  if (remaining.is_none()) {
    release_locks(acquired, options, events, numbers_of(*end));
  } else {
    leave_locks(acquired, remaining, options, events, numbers_of(*end));
  }
  return status_of(*end);
}

Outcome run_under(Acquired& acquired, const Program& program, const RunOptions& options,
                  const sys::ForwardedSignals& signals, const Events& events) {
  std::vector<int> fds;
  if (options.inherit == Inherit::lock) fds = core::descriptors_of(acquired.locks);
  const sys::Command command = program.command(fds);
  if (auto interrupted = interruption(acquired, options)) {
    return give_up(acquired, options, events, std::move(*interrupted));
  }
  if (options.in_place) {
    events.started(sys::own_pid());
    signals.restore();
    return give_up(acquired, options, events, program.start_failure(sys::exec_in_place(command)));
  }
  auto child = sys::Child::start(command, signals);
  if (!child) return give_up(acquired, options, events, program.start_failure(child.error()));
  return wait_for_command(*child, acquired, options, events);
}

Outcome take_and_run(const CommandLine& line, const RunOptions& options, Events& events) {
  auto plan = make_plan(options.lock, options.global);
  if (!plan) return with_create_hint(std::move(plan.error()));
  if (!options.new_scope) {
    if (auto fits = refuse_long_stack(*plan); !fits) return fits.error();
  }
  const bool already_ours = !plan->already_ours.empty();
  // From here on, a signal ends only the wait or reaches the command.
  const sys::ForwardedSignals signals = sys::ForwardedSignals::begin();
  auto acquired = take(std::move(*plan), options.lock, options.global, events);
  if (!acquired) return acquired.error();
  const Program program(line, options.shell_command, options.new_scope ? core::TierStack() : acquired->stack);
  if (options.in_place) identify_writer(*acquired, options.lock);  // no later time for it
  write_records(*acquired, options.lock, {"run", program.name()});
  if (options.lock.verbosity == Verbosity::verbose && acquired->locks.empty()) {
    note("nothing to lock: " + std::string(already_ours ? "an ancestor holds it" : "permits are unbounded"));
  }
  return run_under(*acquired, program, options, signals, events);
}

}  // namespace

Outcome run(const CommandLine& line, Events& events) {
  RunOptions options;
  if (const auto parsed = parse_run(line, options); !has_options(parsed)) return outcome_of(parsed);
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied.error();
  if (auto applied = apply_env_default(options.lock.git_exclude); !applied) return applied.error();
  events.open(options.lock.status_fd);
  return take_and_run(line, options, events);
}

}  // namespace grex::cli
