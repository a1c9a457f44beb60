#include <chrono>
#include <optional>
#include <vector>

#include "base/deadline.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/cluster_probe.hpp"
#include "cli/locking/guards.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::cli {
namespace {

// The first busy file; nullopt if none is busy. In `never_locked`, the targets before it that have no
// lock file yet.
Result<std::optional<core::FilePosition>, Failure> first_busy(const std::vector<core::Target>& targets,
                                                              std::vector<const core::Target*>& never_locked) {
  never_locked.clear();
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto probed = core::probe(targets[i]);
    if (!probed) return open_failure(probed.error(), targets[i]);
    if (probed->outcome == sys::Acquire::busy) return std::optional(core::FilePosition{i, probed->file});
    if (probed->is_new) never_locked.push_back(&targets[i]);
  }
  return std::optional<core::FilePosition>();
}

std::string document_of_wait(std::chrono::milliseconds waited) {
  Json document = document_of("wait");
  document["waited_ms"] = waited.count();
  return to_line(document);
}

// Waits for a busy file, and keeps nothing, unless there is no time left.
core::Attempt wait_at(const std::vector<core::Target>& targets, const core::FilePosition& busy,
                      const core::WaitPolicy& policy) {
  core::Attempt attempt{sys::WaitEnd{sys::Acquire::timed_out}, {}, busy};
  const core::Target& target = targets[busy.target];
  if (!has_passed(policy.deadline)) attempt.end = core::wait_until_free(target, target.files[busy.file], policy);
  return attempt;
}

// No process has to wait for us while we wait: a lock that becomes free is released
// immediately, and all locks are probed again, until none is busy. Returns how long that
// took.
Result<std::chrono::milliseconds, Failure> wait_for(Plan& plan, const LockOptions& options, const GlobalOptions& global,
                                                    Events& events) {
  std::vector<core::Target>& targets = plan.targets;
  const auto start = std::chrono::steady_clock::now();
  WaitAnnouncer announcer(options, global, events);
  const core::WaitPolicy policy = wait_policy_of(options, start, announcer);
  const sys::BlockTerminationSignals between_waits;
  events.set_locks(targets);
  const auto interruption = [&]() -> std::optional<Failure> {
    const auto signal = sys::take_termination_signal();
    if (!signal) return std::nullopt;
    const LockName lock = targets.empty() ? LockName{} : name_of(targets.front());
    return cancelled_failure(lock, *signal, busy_report_of(options));
  };
  std::optional<ClusterProbe> in_cluster;
  if (plan.cluster) in_cluster.emplace(*plan.cluster, targets, options, global, events);
  std::vector<const core::Target*> never_locked;
  for (;;) {
    // Locks that change hands quickly may be free whenever they are waited for.
    if (auto interrupted = interruption()) return std::move(*interrupted);
    const auto found = first_busy(targets, never_locked);
    if (!found) return found.error();
    if (!*found) {
      if (!in_cluster) break;
      const auto is_free = in_cluster->wait_until_free(policy, start);
      if (!is_free) return is_free.error();
      if (*is_free) break;
      continue;
    }
    const core::FilePosition busy = **found;
    if (targets[busy.target].files[busy.file].if_busy != core::WhenBusy::wait) {
      if (auto again = check_busy(plan, busy, options); !again) return std::move(again.error());
      continue;
    }
    const core::Attempt attempt = wait_at(targets, busy, policy);
    if (!attempt.end || attempt.end->outcome != sys::Acquire::held) {
      return acquisition_failure(attempt, targets, options, audience_of(options, global, events), start);
    }
    std::size_t at = 0;
    if (auto renewed = core::re_resolve(targets, at); !renewed) {
      return failure_from(renewed.error(), targets[at].tier());
    }
  }
  if (auto interrupted = interruption()) return std::move(*interrupted);
  for (const core::Target* target : never_locked) {
    if (options.verbosity != Verbosity::quiet) note_no_pack(*target);
  }
  const auto waited = elapsed_since(start);
  events.acquired(waited, plan.guards);
  return waited;
}

struct WaitOptions {
  GlobalOptions global;
  LockOptions lock;
};

void define(Parser& parser, WaitOptions& options) {
  parser.begin_group(group::which_locks);
  add_tier_option(parser, options.lock.tier);
  add_locks(parser, options.lock);
  add_guard_option(parser, options.lock, "include the workspace locks of 'run --guard'");
  add_slots_option(parser, options.lock.slots);
  add_mode_options(parser, options.lock);
  add_layout_option(parser, options.global);
  add_cluster_options(parser, options.lock.cluster, WithLease::no);
  parser.begin_group(group::if_busy);
  add_waiting_options(parser, options.lock);
  add_busy_options(parser, options.lock);
  parser.begin_group(group::reports);
  add_event_options(parser, options.lock);
  add_output_options(parser, options.global);
  add_verbosity_options(parser, options.lock.verbosity);
  add_help_options(parser);
  parser.set_help("Wait until all locks are free, without keeping any.", "grex-lock wait [OPTIONS] [PATH...]",
                  "Example: grex-lock wait -w 2m ~/ws/app ~/ws/lib && echo both were free");
}

}  // namespace

Outcome wait(const CommandLine& line, Events& events) {
  WaitOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  auto& [global, lock] = options;
  if (auto applied = apply_env_defaults(global, lock); !applied) return applied.error();
  if (auto opened = open_events(events, lock); !opened) return opened.error();
  auto plan = make_plan(lock, global);
  if (!plan) return plan.error();
  const auto waited = wait_for(*plan, lock, global, events);
  if (!waited) return waited.error();
  return global.json ? print(document_of_wait(*waited)) : ExitStatus{};
}

}  // namespace grex::cli
