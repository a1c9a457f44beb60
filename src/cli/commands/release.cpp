#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/deadline.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/release_cluster.hpp"
#include "cli/commands/release_end.hpp"
#include "cli/commands/release_find.hpp"
#include "cli/locking/cluster_names.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/inspect/liveness.hpp"
#include "core/inspect/process_numbers.hpp"
#include "core/lock/layout.hpp"
#include "sys/lock/lock_file.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

struct ReleaseOptions {
  GlobalOptions global;
  std::optional<core::Tier> tier;
  std::string path;
  HoldChoice choice;
  ClusterOptions cluster;
  bool force = false;
  std::optional<std::uint64_t> token;
  std::optional<std::chrono::nanoseconds> timeout;
  Verbosity verbosity = Verbosity::normal;
};

void define(Parser& parser, ReleaseOptions& options) {
  add_path(parser, options.path);
  parser.begin_group("Which hold");
  add_tier_option(parser, options.tier, "tier of PATH (default: per-pack)");
  add_layout_option(parser, options.global);
  add_pid(parser, "--pid", options.choice.pid, "end only the hold of process PID");
  auto* const all = parser.add_flag("--all", options.choice.all, "end every hold of the lock, if there are several");
  parser.exclude(all, "--pid");
  parser.add_flag("--if-held", options.choice.if_held, "succeed if no process holds the lock");
  add_cluster_options(parser, options.cluster, WithLease::no);
  auto* const forcing = parser.add_flag("--force", options.force, "end the holder's job, on any machine");
  parser.exclude(forcing, "--pid");
  parser.exclude(forcing, "--all");
  add_token(parser, options.token);
  parser.begin_group("If the hold does not end");
  add_timeout_option(parser, options.timeout, "give up after DURATION (10s; --force: its lease)");
  parser.begin_group(group::reports);
  add_output_options(parser, options.global);
  add_verbosity_options(parser, options.verbosity, "don't report what could not be released");
  add_help_options(parser);
  parser.set_help("End the 'grex-lock hold' that holds the lock of PATH; it releases all its locks.",
                  "grex-lock release [OPTIONS] [PATH]", "Example: grex-lock release --if-held ~/ws/app");
}

// Whether what held the lock was ending, and is gone by now.
bool has_ended(const HoldInspection& found) {
  const auto is_gone = [](const core::LockProcess& process) {
    if (!process.pid) return false;
    const core::Presence presence = core::presence_of(*process.pid, core::Numbering::in_proc);
    return presence == core::Presence::gone || presence == core::Presence::zombie;
  };
  return found.holds.empty() && !found.holders.empty() &&
         std::all_of(found.holders.begin(), found.holders.end(), is_gone);
}

// Whether another look may show a hold, or that there is none: while a process takes or releases
// the lock, what identifies it does not fit the kernel's list.
bool may_change(const HoldInspection& found) {
  const auto has = [&found](core::Hold::Kind kind) {
    return std::any_of(found.holds.begin(), found.holds.end(),
                       [kind](const core::Hold& hold) { return hold.kind == kind; });
  };
  return has(core::Hold::Kind::unverified) && !has(core::Hold::Kind::ours);
}

// Who comes after those that held the lock at the first look is not to be ended.
HoldInspection inspect_until_steady(const core::Target& target) {
  HoldInspection found = inspect_holds(target);
  std::set<pid_t> first_holders;
  for (const core::LockProcess& holder : found.holders) first_holders.insert(holder.pid.value_or(0));
  // A hold that has just begun writes its record, and another may have just ended.
  constexpr int max_repeats = 8;
  for (int i = 0; i < max_repeats && (found.has_changed || has_ended(found) || may_change(found)); ++i) {
    // Earlier, even a file that stays as it is may count as changed.
    if (found.has_changed) std::this_thread::sleep_for(sys::time_until_changes_show);
    found = inspect_holds(target);
    leave_out_later(first_holders, found);
  }
  return found;
}

Json document_of_release(const LockName& lock, const std::vector<core::Hold>& ended) {
  Json document = document_of("release");
  document["tier"] = core::name_of(lock.tier);
  document["target"] = lock.target.empty() ? Json(nullptr) : Json(lock.target);
  document["path"] = lock.target.empty() ? Json(nullptr) : Json(lock.path);
  document["pid"] = ended.empty() ? Json(nullptr) : Json(ended.front().pid);
  Json& pids = document["pids"] = Json::array();
  for (const core::Hold& hold : ended) pids.push_back(hold.pid);
  return document;
}

// The last entry of a lock that a `hold` may have exported, if the stack names none for this
// lock: then PATH may be a wrong one. A guard comes before the pack.
std::optional<core::StackEntry> find_other_entry(const LockName& lock, const core::TierStack& stack) {
  const auto is_its = [&lock](const core::StackEntry& entry) { return is_of_lock(entry, lock); };
  if (std::any_of(stack.begin(), stack.end(), is_its)) return std::nullopt;
  std::optional<core::StackEntry> last;
  for (const core::VerifiedEntry& verified : core::verify(stack)) {
    if (verified.liveness == core::Liveness::live_unproved) last = verified.entry;
  }
  return last;
}

void report_nothing_to_end(const LockName& lock, const core::TierStack& stack, Verbosity verbosity) {
  if (verbosity == Verbosity::quiet) return;
  const auto other = find_other_entry(lock, stack);
  if (!other && verbosity == Verbosity::normal) return;
  std::string text = "nothing to release: " + lock.path;
  if (other) {
    const auto place = core::lock_place_of(other->path);
    text += fmt::format("; {} names the lock of {}, held by pid {}", core::stack_variable,
                        place ? place->target : other->path, other->pid);
  }
  note(text);
}

// The lock of PATH in the cluster that is chosen; nullopt without a cluster. A Failure if the lock
// has no name there.
Result<std::optional<ClusterTarget>, Failure> in_cluster(const std::optional<ChosenCluster>& chosen,
                                                         const ReleaseOptions& options, core::Tier tier,
                                                         const std::string& target) {
  if (!chosen) return std::optional<ClusterTarget>();
  if (options.cluster.name) return std::optional(ClusterTarget{chosen->settings, tier, *options.cluster.name});
  auto name = cluster_name_of(target, chosen->root);
  if (!name) return std::move(name.error());
  return std::optional(ClusterTarget{chosen->settings, tier, std::move(*name)});
}

// The same by the name in an entry of the stack; nullopt if its lock is of this machine only, or of
// another namespace.
std::optional<ClusterTarget> in_cluster(const ChosenCluster& chosen, const core::StackEntry& entry) {
  if (!entry.cluster || entry.cluster->ns != chosen.settings.ns) return std::nullopt;
  return ClusterTarget{chosen.settings, entry.tier, entry.cluster->name};
}

// With -q, only the exit status shows that nothing was released.
Failure reported(Failure failure, Verbosity verbosity) {
  const bool is_answer = failure.kind == ErrorKind::not_held || failure.kind == ErrorKind::timeout;
  failure.is_printed = !is_answer || verbosity != Verbosity::quiet;
  return failure;
}

Json document_of_broken(const ClusterTarget& target, const BrokenLock& broken) {
  Json document = document_of_release(named_lock(target), {});
  document["engine"] = "etcd";
  document["namespace"] = target.settings.ns;
  document["name"] = target.name;
  document["token"] = broken.token;
  document["responded"] = broken.responded;
  return document;
}

Outcome force(const ClusterTarget& target, const ReleaseOptions& options) {
  const auto asked = [&](const core::LockProcess& holder) {
    if (options.verbosity == Verbosity::quiet) return;
    note(fmt::format("asked to end: {}: {}", printable(target.name), holder_text({holder}, utc_now())));
  };
  const auto broken = break_lock(target, options.token, options.timeout, asked);
  if (!broken) {
    const bool is_free = broken.error().kind == ErrorKind::not_held && broken.error().holders.empty();
    if (is_free && options.choice.if_held && !options.token) return ExitStatus{};
    return reported(broken.error(), options.verbosity);
  }
  if (options.verbosity != Verbosity::quiet) {
    note(fmt::format("released: {} (token {})", printable(target.name), broken->token));
    if (!broken->responded) note("warning: its grex-lock did not respond, so its job may still run");
  }
  return options.global.json ? print(to_line(document_of_broken(target, *broken))) : ExitStatus{};
}

// The lock has no PATH here. Its hold is the one that the stack names, or one that was started with
// this name.
Outcome release_named(const ClusterTarget& target, const core::TierStack& stack, const ReleaseOptions& options) {
  const LockName lock = named_lock(target);
  std::vector<core::Hold> holds;
  if (auto hold = find_exported_hold(target, stack)) holds.push_back(std::move(*hold));
  if (holds.empty()) {
    auto named = find_named_holds(target);
    if (!named) return reported(named.error(), options.verbosity);
    holds = std::move(*named);
    const auto& pid = options.choice.pid;
    if (pid) std::erase_if(holds, [&pid](const core::Hold& hold) { return hold.pid != *pid; });
    if (holds.size() > 1 && !options.choice.all) return reported(several_holds(lock, holds), options.verbosity);
  }
  if (holds.empty()) {
    const auto hint = check_not_held(target);
    if (!hint) return reported(hint.error(), options.verbosity);
    if (options.choice.if_held) return ExitStatus{};
    Failure failure = not_released(lock, "no process holds it", ErrorKind::not_held);
    failure.hint = *hint;
    return reported(std::move(failure), options.verbosity);
  }
  if (auto ended = end_holds(holds, {}, lock, options.timeout, options.verbosity); !ended)
    return reported(ended.error(), options.verbosity);
  return options.global.json ? print(to_line(document_of_release(lock, holds))) : ExitStatus{};
}

// Its hold is on this machine; or, by force, a job on any machine is ended.
Outcome release_path(const std::optional<ChosenCluster>& chosen, core::Tier tier, const core::TierStack& stack,
                     const ReleaseOptions& options) {
  const auto target = core::resolve({.tier = tier, .path = options.path, .layouts = *options.global.layouts});
  if (!target) return failure_from(target.error(), tier);
  const LockName lock = name_of(*target);
  auto clustered = in_cluster(chosen, options, tier, target->path);
  if (options.force) {
    if (clustered) return force(**clustered, options);
    return usage_failure(clustered.error().why, "add --name NAME, or --cluster-root DIR for names relative to DIR");
  }
  HoldInspection found = inspect_until_steady(*target);
  if (!clustered) {
    const core::StackEntry* const entry = entry_for(stack, lock, found);
    if (entry == nullptr) return std::move(clustered.error());
    clustered = in_cluster(*chosen, *entry);
  }
  std::vector<core::LockProcess> holders = found.holders;
  auto holds = choose_holds(lock, std::move(found), options.choice, stack);
  // Without --if-held, that no process has the lock is a Failure.
  const bool is_free_here = holds ? holds->empty() : holds.error().kind == ErrorKind::not_held && holders.empty();
  if (is_free_here && *clustered) {
    if (const auto free = check_not_held(**clustered); !free) return reported(free.error(), options.verbosity);
  }
  if (!holds) return reported(holds.error(), options.verbosity);
  if (holds->empty()) report_nothing_to_end(lock, stack, options.verbosity);
  if (auto ended = end_holds(*holds, std::move(holders), lock, options.timeout, options.verbosity); !ended)
    return reported(ended.error(), options.verbosity);
  const bool had_any = !holds->empty();
  std::erase_if(*holds, [](const core::Hold& hold) { return hold.kind == core::Hold::Kind::ending; });
  // Nothing shows whether what was ending was a hold.
  if (had_any && holds->empty() && !options.choice.if_held) {
    return reported(no_longer_held(lock), options.verbosity);
  }
  return options.global.json ? print(to_line(document_of_release(lock, *holds))) : ExitStatus{};
}

}  // namespace

Outcome release(const CommandLine& line, Events&) {
  ReleaseOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  if (auto applied = apply_env_defaults(options.global); !applied) return applied.error();
  const auto chosen = choose_cluster(options.cluster);
  if (!chosen) return chosen.error();
  if (options.force && !*chosen) {
    return usage_failure("--force has no effect without a cluster", "to end a hold on this machine, omit it");
  }
  if (options.token && !options.force) return usage_failure("--token needs --force", {});
  const core::Tier tier = options.tier.value_or(core::Tier::per_pack);
  const bool has_name_only = options.path.empty() && options.cluster.name;
  if (options.path.empty() && !has_name_only)
    return usage_failure("PATH is missing",
                         or_name("is a variable unset? '.' is the current directory", options.cluster));
  const auto stack = inherited_stack();
  if (!stack) return stack.error();
  if (has_name_only) {
    const ClusterTarget named = {(*chosen)->settings, tier, *options.cluster.name};
    return options.force ? force(named, options) : release_named(named, *stack, options);
  }
  return release_path(*chosen, tier, *stack, options);
}

}  // namespace grex::cli
