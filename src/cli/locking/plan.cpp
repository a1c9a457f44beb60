#include "cli/locking/plan.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "cli/args/env_defaults.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/cluster_names.hpp"
#include "cli/locking/guards.hpp"
#include "cli/locking/omitted_path.hpp"
#include "cli/locking/self_deadlock.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/inspect/liveness.hpp"

namespace grex::cli {
namespace {

// What may replace the missing PATH; or the value of --note that was probably meant as it.
Failure without_path(Failure failure, const LockOptions& options) {
  failure.hint = or_name(std::move(failure.hint), options.cluster);
  const std::string& note = options.note;
  if (sys::open_directory(note)) failure.hint = fmt::format("--note has taken {} for its TEXT", shell_line({note}));
  return failure;
}

// The locks that the user has named, or else that of the enclosing pack.
Result<std::vector<NamedLock>, Failure> named_locks(const LockOptions& options) {
  std::vector<NamedLock> locks;
  for (const std::string& path : options.paths) locks.push_back({options.tier_of_paths(), path});
  locks.insert(locks.end(), options.locks.begin(), options.locks.end());
  if (!locks.empty()) return locks;
  if (options.cluster.name) {  // a lock of the cluster alone
    locks.push_back({options.tier_of_paths(), {}});
    return locks;
  }
  auto path = omitted_path(options.tier_of_paths(), options.verbosity);
  if (!path) return without_path(std::move(path.error()), options);
  locks.push_back({options.tier_of_paths(), std::move(*path)});
  return locks;
}

// An option that can change nothing is a mistake, whatever the state of the locks is.
Result<void, Failure> refuse_without_effect(const std::vector<NamedLock>& locks, const LockOptions& options) {
  const auto has_lock_at = [&locks](core::Tier tier) {
    return std::any_of(locks.begin(), locks.end(), [tier](const NamedLock& lock) { return lock.tier == tier; });
  };
  const auto is_pack = [](const NamedLock& lock) { return lock.tier == core::Tier::per_pack && !lock.path.empty(); };
  if (!options.guards.empty() && std::none_of(locks.begin(), locks.end(), is_pack)) {
    if (has_lock_at(core::Tier::per_pack)) {
      return usage_failure("--guard has no effect without PATH", "a guard is taken on the workspaces above PATH");
    }
    const bool has_slot = has_lock_at(core::Tier::semaphore);
    return usage_failure("--guard has no effect without tier per-pack",
                         has_slot ? "for a slot and a guarded pack, name both: -l semaphore:WORKSPACE --guard PACK"
                                  : "it guards the workspaces above a pack");
  }
  if (options.slots && !has_lock_at(core::Tier::semaphore)) {
    return usage_failure("--slots has no effect without tier semaphore", "add -t semaphore");
  }
  if (options.tier && options.paths.empty() && !options.locks.empty()) {
    return usage_failure("--tier has no effect without PATH", "-l TIER:PATH has a tier of its own");
  }
  return {};
}

Failure not_found(const Error& error, const NamedLock& lock) {
  Failure failure = failure_from(error, lock.tier);
  const std::string word = word_in_home(lock.path);
  if (!word.empty()) failure.hint = "the shell expands '~' only at the start of an unquoted word: write " + word;
  return failure;
}

// The flat file of `.grex/` would be the nested one of the directory above, and have two
// places in the order in which files are taken.
Result<void, Failure> refuse_lock_directory(const core::Target& target) {
  if (!target.path.ends_with("/.grex")) return {};
  return usage_failure(fmt::format("PATH is {}, in which lock files are kept", target.path),
                       "name the directory above it");
}

Result<std::vector<core::Target>, Failure> find_targets(const std::vector<NamedLock>& locks, const LockOptions& options,
                                                        const GlobalOptions& global) {
  if (auto refused = refuse_without_effect(locks, options); !refused) return std::move(refused.error());
  unsigned slots = options.slots.value_or(1);
  std::vector<core::Target> targets;
  for (const NamedLock& lock : locks) {
    if (lock.tier == core::Tier::semaphore) {
      const auto chosen = default_slots(options.slots);
      if (!chosen) return chosen.error();
      slots = *chosen;
    }
    core::LockRequest request = {lock.tier, lock.path, slots, options.create, global.layouts.value(), options.mode};
    if (lock.path.empty()) request.cluster_name = options.cluster.name.value();
    auto target = core::resolve(request);
    if (!target) return not_found(target.error(), lock);
    targets.push_back(std::move(*target));
  }
  if (auto added = add_guards(targets, options, global); !added) return std::move(added.error());
  for (const core::Target& target : targets) {
    if (auto refused = refuse_lock_directory(target); !refused) return std::move(refused.error());
  }
  core::sort_and_dedupe(targets);
  return targets;
}

std::vector<std::string> guards_in(const std::vector<core::Target>& targets) {
  std::vector<std::string> guards;
  for (const core::Target& target : targets) {
    if (target.request.is_guard) guards.push_back(target.path);
  }
  return guards;
}

// Reports locks that have one file, though two were asked for. If another file may exist, that
// is a warning.
void note_half_locks(const std::vector<core::Target>& targets, Verbosity verbosity) {
  for (const core::Target& target : targets) {
    if (!target.lacks_layout() || verbosity == Verbosity::quiet) continue;
    if (target.stop) {
      const Failure stop = failure_from(*target.stop);
      note(fmt::format("warning: {}: grex 1.3.2 and later may lock another file: {}: {}", target.shown_path(),
                       stop.path, stop.why));
    } else if (verbosity == Verbosity::verbose)
      note(fmt::format("{}: no directory above has .grex/pack.yaml, so there is no file that grex 1.3.2 and later lock",
                       target.shown_path()));
  }
}

// A guard needs no exclusive lock, so one that an ancestor holds will do.
LockOptions options_for_guards(LockOptions options) {
  options.reentrant = core::Reentrant::yes;
  return options;
}

Failure refusal_of(const core::Target& target, Failure failure, const Plan& plan, const LockOptions& options) {
  return target.request.is_guard ? with_guard_hint(std::move(failure), plan.targets, options) : failure;
}

// A file that is taken before the wanted one.
void add_before(const core::Target& target, const core::TargetFile& file, core::WantedFile& wanted) {
  const auto ids = core::existing_files(target, file);
  wanted.before.insert(wanted.before.end(), ids.begin(), ids.end());
  const auto paths = file.paths();
  wanted.paths_before.insert(wanted.paths_before.end(), paths.begin(), paths.end());
}

// What locking a file of a target means.
core::WantedFile wanted_at(const core::Target& target, const core::TargetFile& file) {
  core::WantedFile wanted{target.tier(), core::existing_files(target, file), {}, target.mode(), file.paths()};
  for (const core::TargetFile& before : target.files) {
    if (&before == &file) break;
    add_before(target, before, wanted);
  }
  return wanted;
}

core::VerifiedStack verify_live(const core::TierStack& stack, const LockOptions& options) {
  core::VerifiedStack live;
  for (core::VerifiedEntry& verified : core::verify(stack)) {
    const core::StackEntry& entry = verified.entry;
    if (core::is_live(verified.liveness)) {
      live.push_back(std::move(verified));
    } else if (options.verbosity == Verbosity::verbose) {
      note(fmt::format("stale entry ignored: {}: pid {} no longer holds it", entry.shown_name(), entry.pid));
    }
  }
  return live;
}

Result<Reentry, Failure> reentry_by(const core::Verdict& verdict, const LockName& lock, sys::Mode wanted,
                                    const LockOptions& options) {
  switch (verdict.kind) {
    case core::Verdict::Kind::take:
      break;
    case core::Verdict::Kind::already_ours:
      return Reentry::ours;
    case core::Verdict::Kind::seems_ours:
      return Reentry::seems;
    case core::Verdict::Kind::reentry:
      return reentry_failure(lock, *verdict.because, wanted);
    case core::Verdict::Kind::tier_violation: {
      Failure failure = order_failure(lock, *verdict.because);
      if (options.tier_check == TierCheck::enforce) return failure;
      if (options.tier_check == TierCheck::warn && options.verbosity != Verbosity::quiet) {
        note(fmt::format("warning: {}: {}: {}", failure.what, failure.path, failure.why));
      }
    }
  }
  return Reentry::none;
}

// After trying a file that an ancestor seemed to have: it is busy, and by now it may be
// clear that another process has it. Removes entries that are stale from the stack.
Result<Reentry, Failure> check_again(const LockName& lock, const core::WantedFile& wanted, core::TierStack& stack,
                                     const LockOptions& options) {
  core::VerifiedStack live = verify_live(stack, options);
  stack = core::live_entries(live);
  core::find_restored(live, wanted);
  const core::Verdict verdict = core::judge(live, wanted, options.reentrant);
  if (verdict.kind != core::Verdict::Kind::seems_ours) return reentry_by(verdict, lock, wanted.mode, options);
  return unproved_failure(lock, verdict.because->entry);
}

// What taking a target's lock of a cluster means. Its own files, which an ancestor may have, come
// before.
core::WantedFile wanted_in_cluster(const core::Target& target, const std::string& ns) {
  core::WantedFile wanted{target.tier(), {}, {}, target.mode()};
  for (const core::TargetFile& file : target.files) add_before(target, file, wanted);
  wanted.cluster_ns = ns;
  wanted.cluster_name = target.request.cluster_name;
  return wanted;
}

// The same as choose_files for the cluster's part of a lock. What an ancestor only seems to have
// can't be tried: its key would be there.
Result<void, Failure> choose_in_cluster(Plan& plan, core::Target& target, const core::WantedFile& wanted,
                                        const core::VerifiedStack& live, const LockOptions& options) {
  const LockName name = {target.tier(), target.request.cluster_name, target.path};
  const core::Verdict verdict = core::judge(live, wanted, options.reentrant);
  if (verdict.kind == core::Verdict::Kind::seems_ours) return unproved_failure(name, verdict.because->entry);
  const auto reentry = reentry_by(verdict, name, wanted.mode, options);
  if (!reentry) return reentry.error();
  target.is_cluster_inherited = *reentry == Reentry::ours;
  if (target.is_cluster_inherited && target.path.empty()) plan.already_ours.push_back(name);
  return {};
}

// Moves the files that ancestors have from the targets of a plan to `already_ours`. A Failure
// if a file must not be locked under their locks.
Result<void, Failure> choose_files(Plan& plan, const core::VerifiedStack& live, const LockOptions& options) {
  const LockOptions for_guards = options_for_guards(options);
  for (core::Target& target : plan.targets) {
    if (plan.cluster && target.wants_cluster()) {
      const core::WantedFile wanted = wanted_in_cluster(target, plan.cluster->ns);
      if (auto chosen = choose_in_cluster(plan, target, wanted, live, options); !chosen) return chosen;
    }
    std::vector<core::TargetFile> files;
    for (const core::TargetFile& file : target.files) {
      const LockName name = name_of(target, file);
      const LockOptions& chosen = target.request.is_guard ? for_guards : options;
      const auto reentry = reentry_of(name, wanted_at(target, file), live, chosen);
      if (!reentry) return refusal_of(target, reentry.error(), plan, options);
      if (*reentry == Reentry::ours) {
        plan.already_ours.push_back(name);
        target.inherited.push_back(file.layout);
        continue;
      }
      files.push_back(file);
      if (*reentry == Reentry::seems) files.back().if_busy = core::WhenBusy::report;
    }
    target.files = std::move(files);
  }
  std::erase_if(plan.targets, [](const core::Target& target) { return !target.wants_any(); });
  return {};
}

}  // namespace

Result<core::TierStack, Failure> inherited_stack() {
  const char* const text = ::getenv(core::stack_variable);
  auto stack = core::parse_tier_stack(text != nullptr ? text : "");
  if (!stack) return stack_failure();
  return std::move(*stack);
}

Result<core::VerifiedStack, Failure> live_stack(const LockOptions& options) {
  const auto inherited = inherited_stack();
  if (!inherited) return inherited.error();
  return verify_live(*inherited, options);
}

Result<Reentry, Failure> reentry_of(const LockName& lock, const core::WantedFile& wanted,
                                    const core::VerifiedStack& stack, const LockOptions& options) {
  core::VerifiedStack current = stack;
  core::find_restored(current, wanted);
  return reentry_by(core::judge(current, wanted, options.reentrant), lock, wanted.mode, options);
}

Result<BusyCheck, Failure> check_busy(const LockName& lock, const core::WantedFile& wanted, Reentry reentry,
                                      core::TierStack& stack, const LockOptions& options) {
  if (reentry == Reentry::seems) {
    auto again = check_again(lock, wanted, stack, options);
    if (!again) return std::move(again.error());
    if (*again == Reentry::ours) return BusyCheck{Reentry::ours, {}};
  }
  const auto held = find_own_lock(lock, wanted, options);
  if (!held) return BusyCheck{};
  core::StackEntry entry = entry_of(*held, lock);
  const core::VerifiedStack proved = {{entry, core::Liveness::live_proved}};
  auto judged = reentry_by(core::judge(proved, wanted, options.reentrant), lock, wanted.mode, options);
  if (!judged) return with_descriptor(std::move(judged.error()), *held, wanted.mode);
  if (*judged == Reentry::ours && entry.pid != 0) core::add_entry(stack, entry);
  return BusyCheck{*judged, std::move(entry)};
}

Result<Reentry, Failure> check_busy(Plan& plan, const core::FilePosition& at, const LockOptions& options) {
  core::Target& target = plan.targets[at.target];
  core::TargetFile& busy = target.files[at.file];
  const LockName name = name_of(target, busy);
  const LockOptions chosen = target.request.is_guard ? options_for_guards(options) : options;
  const Reentry reentry = busy.if_busy == core::WhenBusy::report ? Reentry::seems : Reentry::none;
  auto checked = check_busy(name, wanted_at(target, busy), reentry, plan.stack, chosen);
  if (!checked) return refusal_of(target, std::move(checked.error()), plan, options);
  if (checked->reentry != Reentry::ours) {
    busy.if_busy = core::WhenBusy::wait;
    return Reentry::none;
  }
  if (checked->found) {
    auto allowed = choose_files(plan, {{*checked->found, core::Liveness::live_proved}}, options);
    return allowed ? Result<Reentry, Failure>(Reentry::ours) : std::move(allowed.error());
  }
  plan.already_ours.push_back(name);
  target.inherited.push_back(busy.layout);
  target.files.erase(target.files.begin() + static_cast<std::ptrdiff_t>(at.file));
  if (!target.wants_any()) plan.targets.erase(plan.targets.begin() + static_cast<std::ptrdiff_t>(at.target));
  return Reentry::ours;
}

Result<Plan, Failure> make_plan(const LockOptions& options, const GlobalOptions& global) {
  const auto live = live_stack(options);
  if (!live) return live.error();
  const auto locks = named_locks(options);
  if (!locks) return locks.error();
  auto targets = find_targets(*locks, options, global);
  if (!targets) return std::move(targets.error());

  note_half_locks(*targets, options.verbosity);
  for (const core::Target& target : *targets) {
    const bool wants_workspace = target.tier() == core::Tier::workspace_sync || target.tier() == core::Tier::semaphore;
    if (wants_workspace && !target.request.is_guard && options.verbosity != Verbosity::quiet) note_no_workspace(target);
  }
  auto named = name_in_cluster(*targets, options);
  if (!named) return std::move(named.error());
  Plan plan{{}, core::live_entries(*live), {}, std::move(*named), guards_in(*targets)};
  plan.targets = std::move(*targets);
  for (core::Target& target : plan.targets) {
    for (core::TargetFile& file : target.files) file.if_busy = core::WhenBusy::check;
  }
  if (plan.stack.empty()) return plan;
  if (auto chosen = choose_files(plan, *live, options); !chosen) return std::move(chosen.error());
  return plan;
}

}  // namespace grex::cli
