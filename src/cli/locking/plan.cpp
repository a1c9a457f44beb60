#include "cli/locking/plan.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "cli/args/env_defaults.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/guards.hpp"
#include "cli/locking/omitted_path.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/liveness.hpp"

namespace grex::cli {
namespace {

// The locks that the user has named, or else that of the enclosing pack.
Result<std::vector<NamedLock>, Failure> named_locks(const LockOptions& options) {
  std::vector<NamedLock> locks;
  for (const std::string& path : options.paths) locks.push_back({options.tier, path});
  locks.insert(locks.end(), options.locks.begin(), options.locks.end());
  if (!locks.empty()) return locks;
  auto path = omitted_path(options.tier, options.verbosity);
  if (!path) return std::move(path.error());
  locks.push_back({options.tier, std::move(*path)});
  return locks;
}

Failure not_found(const Error& error, const NamedLock& lock) {
  Failure failure = failure_from(error, lock.tier);
  if (lock.path.starts_with("~/")) failure.hint = "the shell leaves '~' alone behind a colon: write \"$HOME\" there";
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
  if (auto checked = check_guards(locks, options); !checked) return std::move(checked.error());
  unsigned slots = options.slots.value_or(1);
  std::vector<core::Target> targets;
  for (const NamedLock& lock : locks) {
    if (lock.tier == core::Tier::semaphore) {
      const auto chosen = default_slots(options.slots);
      if (!chosen) return chosen.error();
      slots = *chosen;
    }
    auto target = core::resolve({lock.tier, lock.path, slots, options.create, global.layouts.value(), options.mode});
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

Failure refusal_of(const core::Target& target, Failure failure) {
  return target.request.is_guard ? with_guard_hint(std::move(failure)) : failure;
}

// What locking a file of a target means.
core::WantedFile wanted_at(const core::Target& target, const core::TargetFile& file) {
  core::WantedFile wanted{target.tier(), core::existing_files(target, file), {}, target.mode()};
  for (const core::TargetFile& before : target.files) {
    if (&before == &file) break;
    const auto ids = core::existing_files(target, before);
    wanted.before.insert(wanted.before.end(), ids.begin(), ids.end());
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
      note(fmt::format("no longer held by ancestor {}, dropped: {} {}", entry.pid, core::name_of(entry.tier),
                       entry.path));
    }
  }
  return live;
}

Result<Reentry, Failure> reentry_by(const core::Verdict& verdict, const LockName& lock, const LockOptions& options) {
  switch (verdict.kind) {
    case core::Verdict::Kind::take:
      break;
    case core::Verdict::Kind::already_ours:
      return Reentry::ours;
    case core::Verdict::Kind::seems_ours:
      return Reentry::seems;
    case core::Verdict::Kind::reentry:
      return reentry_failure(lock, *verdict.because, options.reentrant, busy_report_of(options));
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
  return reentry_by(core::judge(stack, wanted, options.reentrant), lock, options);
}

Result<Reentry, Failure> check_again(const LockName& lock, const core::WantedFile& wanted, core::TierStack& stack,
                                     const LockOptions& options) {
  const core::VerifiedStack live = verify_live(stack, options);
  stack = core::live_entries(live);
  const core::Verdict verdict = core::judge(live, wanted, options.reentrant);
  if (verdict.kind != core::Verdict::Kind::seems_ours) return reentry_by(verdict, lock, options);
  return unproved_failure(lock, *verdict.because, busy_report_of(options));
}

Result<void, Failure> check_again(Plan& plan, const core::FilePosition& at, const LockOptions& options) {
  core::Target& target = plan.targets[at.target];
  core::TargetFile& busy = target.files[at.file];
  const LockName name = name_of(target, busy);
  const LockOptions chosen = target.request.is_guard ? options_for_guards(options) : options;
  const auto reentry = check_again(name, wanted_at(target, busy), plan.stack, chosen);
  if (!reentry) return refusal_of(target, reentry.error());
  if (*reentry != Reentry::ours) {
    busy.if_busy = core::IfBusy::wait;
    return {};
  }
  plan.already_ours.push_back(name);
  target.inherited.push_back(busy.layout);
  target.files.erase(target.files.begin() + static_cast<std::ptrdiff_t>(at.file));
  if (target.files.empty()) plan.targets.erase(plan.targets.begin() + static_cast<std::ptrdiff_t>(at.target));
  return {};
}

Result<Plan, Failure> make_plan(const LockOptions& options, const GlobalOptions& global) {
  const auto live = live_stack(options);
  if (!live) return live.error();
  const auto locks = named_locks(options);
  if (!locks) return locks.error();
  auto targets = find_targets(*locks, options, global);
  if (!targets) return std::move(targets.error());

  note_half_locks(*targets, options.verbosity);
  Plan plan{{}, core::live_entries(*live), {}, guards_in(*targets)};
  if (plan.stack.empty()) {
    plan.targets = std::move(*targets);
    return plan;
  }
  const LockOptions for_guards = options_for_guards(options);
  for (core::Target& target : *targets) {
    std::vector<core::TargetFile> files;
    for (const core::TargetFile& file : target.files) {
      const LockName name = name_of(target, file);
      const LockOptions& chosen = target.request.is_guard ? for_guards : options;
      const auto reentry = reentry_of(name, wanted_at(target, file), *live, chosen);
      if (!reentry) return refusal_of(target, reentry.error());
      if (*reentry == Reentry::ours) {
        plan.already_ours.push_back(name);
        target.inherited.push_back(file.layout);
        continue;
      }
      files.push_back(file);
      if (*reentry == Reentry::seems) files.back().if_busy = core::IfBusy::report;
    }
    target.files = std::move(files);
    if (!target.files.empty()) plan.targets.push_back(std::move(target));
  }
  return plan;
}

Result<void, Failure> refuse_long_stack(const Plan& plan) {
  constexpr auto longest = std::numeric_limits<std::uint64_t>::max();
  // Upper bounds, in bytes of JSON: an entry without its path, and one byte of the path.
  constexpr std::size_t max_entry_bytes = 256;
  constexpr std::size_t max_escaped_byte = 6;
  core::TierStack stack = plan.stack;
  for (const core::Target& target : plan.targets) {
    for (const core::TargetFile& file : target.files) {
      const std::string path = file.names.empty() ? std::string() : file.path(file.names.size() - 1);
      stack.push_back(
          {target.tier(), path, {longest, longest}, std::numeric_limits<pid_t>::max(), sys::Mode::exclusive, longest});
    }
  }
  std::size_t upper_bound = 0;
  for (const core::StackEntry& entry : stack) upper_bound += max_entry_bytes + max_escaped_byte * entry.path.size();
  if (upper_bound < core::longest_stack_text) return {};
  if (plan.targets.empty() || core::to_text(stack).size() <= core::longest_stack_text) return {};
  return usage_failure(
      fmt::format("{} locks are too many: {} could not hold them all", plan.targets.size(), core::stack_variable),
      "take fewer at a time, or the lock of the whole workspace: -t workspace-sync");
}

Failure with_create_hint(Failure failure) {
  const bool is_missing = failure.kind == ErrorKind::not_found && failure.err == ENOENT;
  if (is_missing && failure.hint.empty()) failure.hint = "--create makes missing directories";
  return failure;
}

}  // namespace grex::cli
