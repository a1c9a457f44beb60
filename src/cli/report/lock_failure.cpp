#include "cli/report/lock_failure.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "base/time_text.hpp"
#include "core/lock/layout.hpp"

namespace grex::cli {
namespace {

std::string tier_text(core::Tier tier) {
  return fmt::format("{} (tier {})", core::name_of(tier), core::ordinal_of(tier));
}

std::string entry_text(const core::StackEntry& entry) {
  return fmt::format("{} {}, which ancestor {} holds", tier_text(entry.tier), entry.path, entry.pid);
}

// Whether the entry is for another file of the same lock.
bool is_of_same_lock(const core::StackEntry& entry, const LockName& lock) {
  const auto place = core::lock_place_of(entry.path);
  return place && place->tier == lock.tier && place->target == lock.target && entry.tier == lock.tier;
}

// An ancestor holds this very lock, or may hold it.
Failure ancestor_failure(const LockName& lock, const core::StackEntry& ancestor, const BusyReport& busy) {
  Failure failure;
  failure.kind = ErrorKind::reentry;
  failure.what = "busy";
  failure.path = ancestor.path;
  failure.exit_code = busy.exit_code;
  failure.tier = lock.tier;
  failure.ancestor = ancestor;
  failure.is_printed = busy.is_printed;
  return failure;
}

}  // namespace

LockName name_of(const core::HeldLock& lock) { return {lock.tier(), lock.path(), lock.target()}; }

LockName name_of(const core::Target& target) { return {target.tier(), target.shown_path(), target.path}; }

LockName name_of(const core::Target& target, const core::TargetFile& file) {
  return {target.tier(), file.names.empty() ? target.path : file.path(0), target.path};
}

Failure open_failure(const Error& error, const core::Target& target) {
  Failure failure = failure_from(error, target.tier());
  const bool is_refused =
      error.kind == ErrorKind::create || error.kind == ErrorKind::permission || error.kind == ErrorKind::unsafe_file;
  if (!is_refused || target.files.size() < 2) return failure;
  // The Error is about one of the files, or a directory on the way to it.
  const auto is_about = [&error](const core::TargetFile& file) {
    return path_in(file.path(0), "").starts_with(path_in(error.path, ""));
  };
  const auto refused = std::find_if(target.files.begin(), target.files.end(), is_about);
  const auto other = std::find_if_not(target.files.begin(), target.files.end(), is_about);
  if (refused == target.files.end() || other == target.files.end()) return failure;
  if (!sys::may_have_lock_file(other->name_at(0))) return failure;
  if (!failure.hint.empty()) failure.hint += "; ";
  failure.hint += fmt::format("--layout {} locks only the other file, which does not exclude grex {}",
                              core::name_of(other->layout), core::releases_of(refused->layout));
  return failure;
}

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

Failure reentry_failure(const LockName& lock, const core::StackEntry& ancestor, core::Reentrant reentrant,
                        const BusyReport& busy) {
  Failure failure = ancestor_failure(lock, ancestor, busy);
  failure.why = fmt::format("already held by ancestor {}", ancestor.pid);
  const bool upgrade = reentrant == core::Reentrant::yes;
  failure.hint = upgrade ? "the ancestor only shares it: take it exclusively there"
                         : "--reentrant goes on under the ancestor's lock";
  if (upgrade) failure.why += ", shared";
  return failure;
}

Failure unproved_failure(const LockName& lock, const core::StackEntry& ancestor, const BusyReport& busy) {
  Failure failure = ancestor_failure(lock, ancestor, busy);
  failure.why = "an ancestor seems to hold it";
  failure.hint = "--reentrant goes on only if a descriptor proves it: one inherited, or open in an ancestor";
  return failure;
}

Failure order_failure(const LockName& lock, const core::StackEntry& ancestor) {
  Failure failure;
  failure.kind = ErrorKind::tier_violation;
  failure.what = "tier order";
  failure.path = lock.path;
  failure.why = fmt::format("{} may not be taken under {}", tier_text(lock.tier), entry_text(ancestor));
  failure.hint = "take locks in the order that 'grex-lock tiers' shows, or see --tier-check";
  if (is_of_same_lock(ancestor, lock)) {
    failure.why = fmt::format("must be taken before the other file of this lock, {}, which ancestor {} holds",
                              ancestor.path, ancestor.pid);
    failure.hint = "take both files there, or only the other one here: --layout nested";
  }
  failure.exit_code = exit_code::tier_violation;
  failure.tier = lock.tier;
  failure.ancestor = ancestor;
  return failure;
}

Failure cancelled_failure(const LockName& lock, const sys::ReceivedSignal& signal, const BusyReport& busy) {
  Failure failure;
  failure.kind = ErrorKind::cancelled;
  failure.what = "cancelled";
  failure.path = lock.path;
  failure.why = sys::name_of_signal(signal.number) + " ended the wait";
  failure.exit_code = exit_code::signal_base + signal.number;
  failure.tier = lock.tier;
  failure.is_printed = busy.is_printed;
  failure.interrupted_by_user = sys::is_ctrl_c(signal);
  return failure;
}

Failure timeout_failure(Failure busy, std::chrono::milliseconds waited) {
  busy.kind = ErrorKind::timeout;
  busy.what = fmt::format("timed out after {}", format_duration(waited));
  return busy;
}

}  // namespace grex::cli
