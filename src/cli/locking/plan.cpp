#include "cli/locking/plan.hpp"
#include "cli/args/env_defaults.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstdint>
#include <limits>

#include "cli/locking/wait_progress.hpp"
#include "cli/report/caveats.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using std::chrono::steady_clock;

// The enclosing pack may be meant; a workspace, or what is to be cloned, lies
// elsewhere, and a wrong lock would keep nobody out.
bool may_be_omitted(core::Tier tier) { return tier == core::Tier::per_pack || tier == core::Tier::manifest; }

// What the user has named, or else the enclosing pack; empty where there is none.
std::vector<NamedLock> named_locks(const LockOptions& options) {
  std::vector<NamedLock> locks;
  for (const std::string& path : options.paths) locks.push_back({options.tier, path});
  locks.insert(locks.end(), options.locks.begin(), options.locks.end());
  if (!locks.empty() || !may_be_omitted(options.tier)) return locks;
  if (auto path = core::enclosing_path()) locks.push_back({options.tier, std::move(*path)});
  return locks;
}

Failure no_path_failure(const LockOptions& options) {
  return usage_failure(may_be_omitted(options.tier)
                           ? "PATH is missing, and no pack encloses the working directory"
                           : fmt::format("PATH is missing at tier {}", core::name_of(options.tier)),
                       "'.' is the working directory itself");
}

Failure not_found(const Error& error, const NamedLock& lock) {
  Failure failure = failure_from(error, lock.tier);
  if (lock.path.starts_with("~/")) failure.hint = "the shell leaves '~' alone behind a colon: write \"$HOME\" there";
  return failure;
}

std::variant<std::vector<core::Target>, Failure> find_targets(const std::vector<NamedLock>& locks,
                                                              const LockOptions& options, const GlobalOptions& global) {
  std::optional<unsigned> slots = options.slots;
  std::vector<core::Target> targets;
  for (const NamedLock& lock : locks) {
    if (lock.tier == core::Tier::semaphore) {
      if (auto failure = apply_default(slots)) return *failure;
    }
    for (const core::Layout layout : global.layouts.value()) {
      auto target = core::resolve({lock.tier, lock.path, slots.value_or(1), options.create, layout});
      if (!target) return not_found(target.error(), lock);
      targets.push_back(std::move(*target));
    }
  }
  core::put_in_order(targets);
  return targets;
}

}  // namespace

std::variant<core::TierStack, Failure> inherited_stack() {
  const char* const text = ::getenv(core::stack_variable);
  auto stack = core::parse_tier_stack(text != nullptr ? text : "");
  if (!stack) return stack_failure();
  return std::move(*stack);
}

std::variant<core::TierStack, Failure> live_stack(const LockOptions& options) {
  auto inherited = inherited_stack();
  if (std::holds_alternative<Failure>(inherited)) return inherited;
  core::TierStack live;
  for (auto& [entry, liveness] : core::verify(std::get<core::TierStack>(inherited))) {
    if (liveness == core::Liveness::live) {
      live.push_back(std::move(entry));
    } else if (options.verbosity == Verbosity::verbose) {
      note(fmt::format("no longer held by ancestor {}, dropped: {} {}", entry.pid, core::name_of(entry.tier),
                       entry.path));
    }
  }
  return live;
}

std::variant<bool, Failure> is_already_ours(const LockName& lock, const std::vector<sys::FileId>& files,
                                            const core::TierStack& stack, const LockOptions& options) {
  const core::Verdict verdict = core::judge(stack, lock.tier, files, options.mode, options.reentrant);
  switch (verdict.kind) {
    case core::Verdict::Kind::take:
      break;
    case core::Verdict::Kind::already_ours:
      return true;
    case core::Verdict::Kind::reentry:
      return reentry_failure(lock, *verdict.because, options);
    case core::Verdict::Kind::tier_violation: {
      Failure failure = order_failure(lock, *verdict.because);
      if (options.tier_check == TierCheck::enforce) return failure;
      if (options.tier_check == TierCheck::warn && options.verbosity != Verbosity::quiet) {
        note(fmt::format("warning: {}: {}: {}", failure.what, failure.path, failure.why));
      }
    }
  }
  return false;
}

std::variant<Prepared, Failure> prepare(const LockOptions& options, const GlobalOptions& global) {
  auto stack = live_stack(options);
  if (auto* failure = std::get_if<Failure>(&stack)) return *failure;
  const std::vector<NamedLock> locks = named_locks(options);
  if (locks.empty()) return no_path_failure(options);
  auto found = find_targets(locks, options, global);
  if (auto* failure = std::get_if<Failure>(&found)) return *failure;

  Prepared prepared{{}, std::get<core::TierStack>(std::move(stack)), {}};
  auto& targets = std::get<std::vector<core::Target>>(found);
  if (prepared.stack.empty()) {
    prepared.targets = std::move(targets);
    return prepared;
  }
  for (core::Target& target : targets) {
    const auto ours =
        is_already_ours(name_of(target), core::ids_of(core::existing_files(target)), prepared.stack, options);
    if (const auto* failure = std::get_if<Failure>(&ours)) return *failure;
    if (std::get<bool>(ours)) {
      prepared.already_ours.push_back(name_of(target));
    } else {
      prepared.targets.push_back(std::move(target));
    }
  }
  return prepared;
}

std::optional<Failure> refuse_long_stack(const Prepared& prepared) {
  constexpr auto longest = std::numeric_limits<std::uint64_t>::max();
  // The most that an entry takes beside its path, and a byte of the path.
  constexpr std::size_t most_beside = 256;
  constexpr std::size_t most_a_byte = 6;
  core::TierStack stack = prepared.stack;
  for (const core::Target& target : prepared.targets) {
    const std::string path = target.names.empty() ? std::string() : target.lock_path(target.names.size() - 1);
    stack.push_back({target.tier(), path, {longest, longest}, std::numeric_limits<pid_t>::max(), sys::Mode::exclusive});
  }
  std::size_t at_most = 0;
  for (const core::StackEntry& entry : stack) at_most += most_beside + most_a_byte * entry.path.size();
  if (at_most < core::longest_stack_text) return std::nullopt;
  if (prepared.targets.empty() || core::to_text(stack).size() <= core::longest_stack_text) return std::nullopt;
  return usage_failure(
      fmt::format("{} locks are too many: {} could not hold them all", prepared.targets.size(), core::stack_variable),
      "take fewer at a time, or the lock of the whole workspace: -t workspace-sync");
}

core::Patience patience_of(const LockOptions& options, const GlobalOptions& global, const Events& events,
                           steady_clock::time_point start) {
  core::Patience patience;
  patience.waits = !options.nonblock;
  if (options.timeout) patience.deadline = start + *options.timeout;
  patience.on_wait = [&](const core::Target& target) {
    return tell_waiting(options, global, events, core::queue_at(target), [&](const core::GivesUp& gives_up) {
      return busy_failure(name_of(target), target.lock_paths(), options, readers_of(global, events), gives_up);
    });
  };
  return patience;
}

std::shared_ptr<void> tell_waiting(const LockOptions& options, const GlobalOptions& global, const Events& events,
                                   core::Queue queue, FindBusy busy) {
  const bool is_told = options.verbosity == Verbosity::verbose;
  if (is_told || events.are_wanted()) {
    const Failure failure = busy(core::never);
    events.waiting(failure);
    if (is_told) note(fmt::format("waiting for {}: {}", failure.path, failure.why));
  }
  if (options.verbosity == Verbosity::quiet || global.json) return nullptr;
  return std::make_shared<WaitingLine>(std::move(queue), std::move(busy));
}

Outcome not_taken(const core::Attempt& attempt, const std::vector<core::Target>& targets, const LockOptions& options,
                  HoldersFor readers, steady_clock::time_point start) {
  const core::Target& target = targets[attempt.at];
  if (!attempt.end) return failed(failure_from(attempt.end.error(), target.tier()));
  if (attempt.end->outcome == sys::Acquire::cancelled) return cancelled(name_of(target), *attempt.end, options);
  Failure failure = busy_failure(name_of(target), target.lock_paths(), options, readers);
  if (attempt.end->outcome == sys::Acquire::timed_out) failure = timeout_failure(std::move(failure), since(start));
  return failed(std::move(failure));
}

Taken take(Prepared prepared, const LockOptions& options, const GlobalOptions& global, Events& events) {
  const auto start = steady_clock::now();
  events.about(prepared.targets, options.mode);
  Taken taken;
  core::Patience patience = patience_of(options, global, events, start);
  patience.on_wait = [&taken, &options, tell = std::move(patience.on_wait)](const core::Target& target) {
    if (options.record) taken.writer = core::own_identity();
    return tell(target);
  };
  core::Attempt attempt = core::acquire(prepared.targets, options.mode, patience);
  taken.stack = std::move(prepared.stack);
  taken.waited = since(start);
  if (!attempt.end || attempt.end->outcome != sys::Acquire::held) {
    taken.failed = not_taken(attempt, prepared.targets, options, readers_of(global, events), start);
    return taken;
  }
  taken.locks = std::move(attempt.locks);
  for (const core::HeldLock& lock : taken.locks) taken.stack.push_back(lock.stack_entry());
  events.about(taken.locks);
  events.acquired(taken.waited);
  if (options.verbosity == Verbosity::verbose && !taken.locks.empty()) {
    note(fmt::format("locked {} after {}", paths_of(taken.locks), core::to_text(taken.waited)));
    note_weaknesses(taken.locks);
  }
  return taken;
}

Failure with_create_hint(Failure failure) {
  const bool is_missing = failure.kind == ErrorKind::not_found && failure.err == ENOENT;
  if (is_missing && failure.hint.empty()) failure.hint = "--create makes missing directories";
  return failure;
}

void write_records(Taken& taken, const LockOptions& options, const std::string& verb,
                   const std::vector<std::string>& command) {
  if (!options.record || taken.locks.empty()) return;
  core::Record record;
  record.writer = taken.writer ? *taken.writer : core::own_identity();
  record.uid = sys::own_uid();
  record.command = command;
  record.cwd = sys::working_directory();
  record.since = core::utc_now();
  record.note = options.note;
  record.verb = verb;
  for (core::HeldLock& lock : taken.locks) {
    record.tier = lock.tier();
    const auto written = lock.write_record(record);
    if (options.verbosity != Verbosity::verbose) continue;
    if (!written) {
      note("no record written: " + failure_from(written.error()).why);
    } else if (!*written && lock.mode() == sys::Mode::exclusive) {
      note(fmt::format("no record written: {} may only be read, has a second name, or has other content", lock.path()));
    }
  }
}

std::string export_line(const core::TierStack& stack) {
  return fmt::format("export {}={}\n", core::stack_variable, in_quotes(stack.empty() ? "" : core::to_text(stack)));
}

std::string paths_of(const std::vector<core::HeldLock>& locks) {
  std::string paths;
  for (const core::HeldLock& lock : locks) paths += (paths.empty() ? "" : ", ") + lock.path();
  return paths;
}

HoldersFor readers_of(const GlobalOptions& global, const Events& events) {
  return global.json || events.are_wanted() ? HoldersFor::programs : HoldersFor::people;
}

}  // namespace grex::cli
