#include "cli/locking.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit_code.hpp"
#include "cli/output.hpp"
#include "cli/report_text.hpp"

namespace grex::cli {
namespace {

using std::chrono::steady_clock;

std::string described(core::Tier tier) {
  return fmt::format("{} (tier {})", core::name_of(tier), core::ordinal_of(tier));
}

std::string entry_line(const core::StackEntry& entry) {
  return fmt::format("{} {}, which ancestor {} holds", described(entry.tier), entry.path, entry.pid);
}

Failure reentry_failure(const core::Target& target, const core::StackEntry& ancestor, const LockOptions& options) {
  Failure failure;
  failure.kind = ErrorKind::reentry;
  failure.what = "busy";
  failure.path = ancestor.path;
  failure.why = fmt::format("already held by ancestor {}", ancestor.pid);
  const bool upgrade = options.reentrant == core::Reentrant::yes;
  failure.hint = upgrade ? "the ancestor only shares it: take it exclusively there"
                         : "--reentrant goes on under the ancestor's lock";
  if (upgrade) failure.why += ", shared";
  failure.exit_code = options.conflict_exit_code.value_or(exit_code::busy);
  failure.tier = target.tier;
  failure.ancestor = ancestor;
  failure.told = options.verbosity != Verbosity::quiet;
  return failure;
}

Failure order_failure(const core::Target& target, const core::StackEntry& ancestor) {
  Failure failure;
  failure.kind = ErrorKind::tier_violation;
  failure.what = "tier order";
  failure.path = target.shown_path();
  failure.why = fmt::format("{} may not be taken under {}", described(target.tier), entry_line(ancestor));
  failure.hint = "take locks in the order that 'grex-lock tiers' shows, or see --tier-check";
  failure.exit_code = exit_code::tier_violation;
  failure.tier = target.tier;
  failure.ancestor = ancestor;
  return failure;
}

Failure stack_failure() {
  Failure failure;
  failure.kind = ErrorKind::stack;
  failure.what = "bad environment";
  failure.path = stack_variable;
  failure.why = "it is not what grex-lock writes, so the ancestors' locks are unknown";
  failure.hint = "'unset GREX_LOCK_STACK' if no ancestor holds a lock";
  failure.exit_code = exit_code::stack;
  return failure;
}

Failure cancelled_failure(const core::Target& target, const sys::WaitEnd& end, const LockOptions& options) {
  Failure failure;
  failure.kind = ErrorKind::cancelled;
  failure.what = "cancelled";
  failure.path = target.shown_path();
  const char* const name = ::sigabbrev_np(end.signal);
  failure.why = fmt::format("SIG{} ended the wait", name != nullptr ? name : "?");
  failure.exit_code = exit_code::signal_base + end.signal;
  failure.tier = target.tier;
  failure.told = options.verbosity != Verbosity::quiet;
  return failure;
}

// The enclosing pack may be meant; a workspace, or what is to be cloned, lies
// elsewhere, and a wrong lock would keep nobody out.
bool may_be_omitted(core::Tier tier) { return tier == core::Tier::per_pack || tier == core::Tier::manifest; }

std::optional<std::string> path_of(const LockOptions& options) {
  if (!options.path.empty()) return options.path;
  return may_be_omitted(options.tier) ? core::enclosing_path() : std::nullopt;
}

}  // namespace

std::variant<core::TierStack, Failure> inherited_stack() {
  const char* const text = ::getenv(stack_variable);
  auto stack = core::parse_tier_stack(text != nullptr ? text : "");
  if (!stack) return stack_failure();
  return std::move(*stack);
}

std::variant<Prepared, Failure> prepare(const LockOptions& options) {
  auto inherited = inherited_stack();
  if (auto* failure = std::get_if<Failure>(&inherited)) return *failure;
  Prepared prepared;
  for (auto& [entry, liveness] : core::verify(std::get<core::TierStack>(inherited))) {
    if (liveness == core::Liveness::live) {
      prepared.stack.push_back(std::move(entry));
    } else if (options.verbosity == Verbosity::verbose) {
      note(fmt::format("no longer held by ancestor {}, dropped: {} {}", entry.pid, core::name_of(entry.tier),
                       entry.path));
    }
  }
  const auto path = path_of(options);
  if (!path) {
    return usage_failure(may_be_omitted(options.tier)
                             ? "PATH is missing, and no pack encloses the working directory"
                             : fmt::format("PATH is missing at tier {}", core::name_of(options.tier)),
                         "'.' is the working directory itself");
  }
  prepared.request = {options.tier, *path, 1, options.create};
  if (options.tier == core::Tier::semaphore) {
    Slots slots = default_slots();
    if (slots.failure) return *slots.failure;
    prepared.request.slots = slots.count;
  }
  auto target = core::resolve(prepared.request);
  if (!target) return failure_from(target.error(), options.tier);
  prepared.target = std::move(*target);
  if (prepared.stack.empty()) return prepared;

  const core::Verdict verdict =
      core::judge(prepared.stack, options.tier, core::existing_files(prepared.target), options.mode, options.reentrant);
  switch (verdict.kind) {
    case core::Verdict::Kind::take:
      break;
    case core::Verdict::Kind::already_ours:
      prepared.already_ours = true;
      break;
    case core::Verdict::Kind::reentry:
      return reentry_failure(prepared.target, *verdict.because, options);
    case core::Verdict::Kind::tier_violation: {
      Failure failure = order_failure(prepared.target, *verdict.because);
      if (options.tier_check == TierCheck::enforce) return failure;
      if (options.tier_check == TierCheck::warn && options.verbosity != Verbosity::quiet) {
        note(fmt::format("warning: {}: {}: {}", failure.what, failure.path, failure.why));
      }
    }
  }
  return prepared;
}

Failure busy_failure(const core::Target& target, const LockOptions& options, const GlobalOptions& global) {
  Failure failure;
  failure.kind = ErrorKind::busy;
  failure.what = "busy";
  failure.path = target.shown_path();
  failure.exit_code = options.conflict_exit_code.value_or(exit_code::busy);
  failure.tier = target.tier;
  failure.told = options.verbosity != Verbosity::quiet;
  if (!failure.told && !global.json) return failure;
  bool still_held = false;
  for (core::FileReport& report : core::inspect(target.lock_paths())) {
    still_held = still_held || report.state == core::LockState::held;
    for (core::Party& holder : report.holders) failure.holders.push_back(std::move(holder));
  }
  failure.why = still_held ? holder_line(failure.holders, core::utc_now()) : "held a moment ago";
  if (target.names.size() > 1)
    failure.why = fmt::format("all {} permits are taken; {}", target.names.size(), failure.why);
  return failure;
}

Taken take(Prepared prepared, const LockOptions& options, const GlobalOptions& global) {
  Taken taken;
  taken.stack = std::move(prepared.stack);
  if (prepared.already_ours) return taken;

  const auto start = steady_clock::now();
  core::Target& target = prepared.target;
  auto attempt = core::try_acquire(prepared.request, target, options.mode);
  if (attempt && attempt->end.outcome == sys::Acquire::busy && !options.nonblock) {
    if (options.verbosity == Verbosity::verbose) {
      note(fmt::format("waiting for {}: {}", target.shown_path(), busy_failure(target, options, global).why));
    }
    std::optional<sys::Deadline> deadline;
    if (options.timeout) deadline = start + *options.timeout;
    attempt = core::acquire(prepared.request, target, options.mode, deadline);
  }
  if (!attempt) {
    taken.failure = failure_from(attempt.error(), target.tier);
    return taken;
  }
  taken.waited = std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - start);
  switch (attempt->end.outcome) {
    case sys::Acquire::held:
      if (attempt->lock) taken.stack.push_back(attempt->lock->stack_entry());
      taken.lock = std::move(attempt->lock);
      break;
    case sys::Acquire::busy:
      taken.failure = busy_failure(target, options, global);
      break;
    case sys::Acquire::timed_out:
      taken.failure = busy_failure(target, options, global);
      taken.failure->kind = ErrorKind::timeout;
      taken.failure->what = fmt::format("timed out after {}", core::to_text(taken.waited));
      break;
    case sys::Acquire::cancelled:
      taken.failure = cancelled_failure(target, attempt->end, options);
      taken.interrupted_by_user = attempt->end.from_terminal && attempt->end.signal == SIGINT;
      break;
  }
  return taken;
}

}  // namespace grex::cli
