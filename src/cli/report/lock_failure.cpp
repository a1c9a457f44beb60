#include "cli/report/lock_failure.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include "base/exit_code.hpp"
#include "cli/report/holder_text.hpp"

namespace grex::cli {
namespace {

std::string described(core::Tier tier) {
  return fmt::format("{} (tier {})", core::name_of(tier), core::ordinal_of(tier));
}

std::string entry_line(const core::StackEntry& entry) {
  return fmt::format("{} {}, which ancestor {} holds", described(entry.tier), entry.path, entry.pid);
}

}  // namespace

LockName name_of(const core::HeldLock& lock) { return {lock.tier(), lock.path()}; }

LockName name_of(const core::Target& target) { return {target.tier(), target.shown_path(), target.path}; }

Failure stack_failure() {
  Failure failure;
  failure.kind = ErrorKind::stack;
  failure.what = "bad environment";
  failure.path = core::stack_variable;
  failure.why = "it is not what grex-lock writes, so the ancestors' locks are unknown";
  failure.hint = "'unset GREX_LOCK_STACK' if no ancestor holds a lock";
  failure.exit_code = exit_code::stack;
  return failure;
}

Failure reentry_failure(const LockName& lock, const core::StackEntry& ancestor, const LockOptions& options) {
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
  failure.tier = lock.tier;
  failure.ancestor = ancestor;
  failure.told = options.verbosity != Verbosity::quiet;
  return failure;
}

Failure order_failure(const LockName& lock, const core::StackEntry& ancestor) {
  Failure failure;
  failure.kind = ErrorKind::tier_violation;
  failure.what = "tier order";
  failure.path = lock.path;
  failure.why = fmt::format("{} may not be taken under {}", described(lock.tier), entry_line(ancestor));
  failure.hint = "take locks in the order that 'grex-lock tiers' shows, or see --tier-check";
  failure.exit_code = exit_code::tier_violation;
  failure.tier = lock.tier;
  failure.ancestor = ancestor;
  return failure;
}

Outcome cancelled(const LockName& lock, const sys::WaitEnd& end, const LockOptions& options) {
  Failure failure;
  failure.kind = ErrorKind::cancelled;
  failure.what = "cancelled";
  failure.path = lock.path;
  const char* const name = ::sigabbrev_np(end.signal);
  failure.why = fmt::format("SIG{} ended the wait", name != nullptr ? name : "?");
  failure.exit_code = exit_code::signal_base + end.signal;
  failure.tier = lock.tier;
  failure.told = options.verbosity != Verbosity::quiet;
  Outcome outcome = failed(std::move(failure));
  outcome.interrupted_by_user = end.from_terminal && end.signal == SIGINT;
  return outcome;
}

Failure busy_failure(const LockName& lock, const std::vector<std::string>& files, const LockOptions& options,
                     HoldersFor readers, const core::GivesUp& gives_up) {
  Failure failure;
  failure.kind = ErrorKind::busy;
  failure.what = "busy";
  failure.path = lock.path;
  failure.exit_code = options.conflict_exit_code.value_or(exit_code::busy);
  failure.tier = lock.tier;
  failure.told = options.verbosity != Verbosity::quiet;
  if (!failure.told && readers == HoldersFor::people) return failure;
  bool still_held = false;
  using Extent = core::HolderSearch::Extent;
  const auto extent = readers == HoldersFor::people ? Extent::takers : Extent::everyone;
  for (core::FileReport& report : core::inspect(files, core::visible_mounts(), {extent, gives_up})) {
    still_held = still_held || report.state == core::LockState::held;
    for (core::Party& holder : report.holders) failure.holders.push_back(std::move(holder));
  }
  failure.why = still_held ? holder_line(failure.holders, core::utc_now()) : "held a moment ago";
  if (files.size() > 1) failure.why = fmt::format("all {} permits are taken; {}", files.size(), failure.why);
  return failure;
}

std::chrono::milliseconds since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

Failure timeout_failure(Failure busy, std::chrono::milliseconds waited) {
  busy.kind = ErrorKind::timeout;
  busy.what = fmt::format("timed out after {}", core::to_text(waited));
  return busy;
}

}  // namespace grex::cli
