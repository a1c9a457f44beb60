#include <chrono>
#include <optional>
#include <variant>
#include <vector>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {
namespace {

// The first of the locks that is busy; the number of them where none is.
Result<std::size_t> first_busy(const std::vector<core::Target>& targets, const LockOptions& options) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto probed = core::probe(targets[i], options.mode);
    if (!probed) return probed.error();
    if (probed->outcome == sys::Acquire::busy) return i;
  }
  return targets.size();
}

// Nobody is kept waiting by us while we wait: a lock that comes free is let go at
// once, and all are looked at again, until none is busy.
Outcome wait_for(std::vector<core::Target>& targets, const LockOptions& options, const GlobalOptions& global,
                 Events& events) {
  const auto start = std::chrono::steady_clock::now();
  const core::Patience patience = patience_of(options, global, events, start);
  events.about(targets, options.mode);
  for (;;) {
    const auto busy = first_busy(targets, options);
    if (!busy) return failed(failure_from(busy.error()));
    if (*busy == targets.size()) break;
    std::vector<core::Target> wanted;
    wanted.push_back(std::move(targets[*busy]));
    const core::Attempt attempt = core::acquire(wanted, options.mode, patience);
    const bool was_free = attempt.end && attempt.end->outcome == sys::Acquire::held;
    if (!was_free) return not_taken(attempt, wanted, options, readers_of(global, events), start);
    targets[*busy] = std::move(wanted.front());
    std::size_t at = 0;
    if (auto renewed = core::resolve_again(targets, at); !renewed) {
      return failed(failure_from(renewed.error(), targets[at].tier()));
    }
  }
  events.acquired(since(start));
  return global.json ? print(wait_document(since(start))) : Outcome{};
}

struct WaitOptions {
  GlobalOptions global;
  LockOptions lock;
};

void define(Parser& parser, WaitOptions& options) {
  add_global_options(parser, options.global);
  add_locks(parser, options.lock);
  add_choice_options(parser, options.lock);
  add_slots_option(parser, options.lock);
  add_waiting_options(parser, options.lock);
  parser.set_help("Wait until the locks are free, and keep nothing.", "grex-lock wait [OPTIONS] [PATH...]",
                  "Examples:\n"
                  "  grex-lock wait ~/ws/app ~/ws/lib && echo both are free\n"
                  "  grex-lock wait -w 2m -s ~/ws/app || grex-lock status ~/ws/app");
}

}  // namespace

Outcome wait(const Invocation& invocation) {
  WaitOptions options;
  if (auto outcome = parse(invocation, options, define)) return *outcome;
  auto& [global, lock] = options;
  if (auto failure = complete(global, lock)) return failed(*failure);
  Events events(lock.status_fd);
  auto prepared = prepare(lock, global);
  if (const auto* failure = std::get_if<Failure>(&prepared)) return events.ended(failed(*failure));
  return events.ended(wait_for(std::get<Prepared>(prepared).targets, lock, global, events));
}

}  // namespace grex::cli
