#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
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
  parser.add_flag("--export", options.print_export, "print 'export GREX_LOCK_STACK=...' for eval")->group("Holding");
  parser.set_help("Take the locks and keep them, without a command, until told to stop.",
                  "grex-lock hold [OPTIONS] [PATH...]",
                  "Examples:\n"
                  "  grex-lock hold --detach --while-pid $$ ~/ws/app   # the rest of a script\n"
                  "  grex-lock hold --detach --for 10m --note 'hands off' ~/ws/app");
}

// What status shows as the command: our own line, since nothing else runs.
std::vector<std::string> own_line(const Invocation& invocation) {
  std::vector<std::string> words = {"grex-lock", invocation.verb};
  words.insert(words.end(), invocation.arguments.begin(), invocation.arguments.end());
  return words;
}

std::string announcement(const Taken& taken, const HoldOptions& options) {
  if (options.print_export) return export_line(taken.stack);
  if (options.global.json) return held_document("hold", taken.locks);
  if (taken.locks.empty()) return "nothing to hold\n";
  return fmt::format("pid {} holds {}\n", sys::own_pid(), printable(paths_of(taken.locks)));
}

// Takes the locks, unless the process of --while-pid ends first.
Taken take_while(int pidfd, Prepared prepared, const HoldOptions& options, Events& events) {
  sys::EndWatch watch;
  if (pidfd >= 0) {
    if (auto started = watch.start(pidfd); !started) {
      Taken taken;
      taken.failed = failed(failure_from(started.error()));
      return taken;
    }
  }
  return take(std::move(prepared), options.lock, options.global, events);
}

// Goes into the background with the locks. An Outcome means that it did not: in
// its last moment a signal came that the caller was sent, or the caller is gone.
std::optional<Outcome> leave_caller(sys::Background& background, const Taken& taken,
                                    const sys::HeldBackSignals& signals, const HoldOptions& options, int pidfd,
                                    const Events& events) {
  events.started(sys::own_pid());
  const auto settled = background.settle(signals.fd());
  if (const auto told = signals.next()) return cancelled(name_of(taken.locks.front()), *told, options.lock);
  if (!settled) return failed(failure_from(settled.error()));
  std::vector<int> keep = {signals.fd()};
  for (const core::HeldLock& lock : taken.locks) keep.push_back(lock.fd());
  if (pidfd >= 0) keep.push_back(pidfd);
  if (auto left = background.leave(keep); !left) return failed(failure_from(left.error()));
  return std::nullopt;
}

// Takes the locks, says so, and keeps them. `background` is null in the
// foreground; `pidfd` is that of --while-pid, or -1.
Outcome take_and_keep(Prepared prepared, const Invocation& invocation, const HoldOptions& options, int pidfd,
                      sys::Background* background, Events& events) {
  // From here on a signal ends a wait, or else the hold, and nothing halfway.
  const auto signals = sys::HeldBackSignals::begin();
  if (!signals) return failed(failure_from(signals.error()));
  give_up_writing_at(signals->fd());
  Taken taken = take_while(pidfd, std::move(prepared), options, events);
  if (taken.failed) return *taken.failed;
  sys::VigilEnds ends{{}, pidfd, options.until_input_ends};
  if (options.duration) ends.deadline = sys::Deadline::clock::now() + *options.duration;
  write_records(taken, options.lock, invocation.verb, own_line(invocation));
  Outcome announced = print(announcement(taken, options));
  if (announced.failure && announced.failure->err != ECANCELED) return announced;
  if (background != nullptr) {
    if (taken.locks.empty()) return {};
    if (auto stayed = leave_caller(*background, taken, *signals, options, pidfd, events)) return *stayed;
  }
  const auto kept = sys::keep_vigil(*signals, ends);
  core::release_all(taken.locks);
  if (background == nullptr) events.released(exit_code::ok);
  return kept ? Outcome{} : failed(failure_from(kept.error()));
}

Outcome hold_locks(const Invocation& invocation, const HoldOptions& options) {
  Events events(options.lock.status_fd);
  UniqueFd watched;
  if (options.while_pid) {
    auto process = sys::open_process(*options.while_pid);
    if (!process && process.error().kind == ErrorKind::not_found) {
      return events.ended(failed(usage_failure(fmt::format("--while-pid: there is no process {}", *options.while_pid),
                                               "$$ is the shell's own number")));
    }
    if (!process) return events.ended(failed(failure_from(process.error())));
    watched = std::move(*process);
  }
  auto prepared = prepare(options.lock, options.global);
  if (auto* failure = std::get_if<Failure>(&prepared)) {
    return events.ended(failed(with_create_hint(std::move(*failure))));
  }
  auto& ready = std::get<Prepared>(prepared);
  if (options.print_export) {
    if (auto failure = refuse_long_stack(ready)) return events.ended(failed(std::move(*failure)));
  }
  sys::heed_sigterm();
  if (!options.detach) {
    return events.ended(take_and_keep(std::move(ready), invocation, options, watched.get(), nullptr, events));
  }
  auto split = sys::split();
  if (!split) return events.ended(failed(failure_from(split.error())));
  if (const auto* end = std::get_if<sys::BackgroundEnd>(&*split)) {
    const auto* ended = std::get_if<sys::ChildEnd>(end);
    return ended != nullptr ? outcome_of(*ended) : Outcome{};
  }
  auto& background = std::get<sys::Background>(*split);
  return events.ended(take_and_keep(std::move(ready), invocation, options, watched.get(), &background, events));
}

}  // namespace

Outcome hold(const Invocation& invocation) {
  HoldOptions options;
  if (auto outcome = parse(invocation, options, define)) return *outcome;
  if (options.print_export && options.global.json) {
    return failed(usage_failure("--export and --json exclude each other", "see 'grex-lock hold --help'"));
  }
  if (auto failure = complete(options.global, options.lock)) return failed(*failure);
  return hold_locks(invocation, options);
}

}  // namespace grex::cli
