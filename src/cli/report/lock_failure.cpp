#include "cli/report/lock_failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.hpp"
#include "base/time_text.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"

namespace grex::cli {
namespace {

// The process of an entry. Without proof, it need not be an ancestor: a `hold` that exported
// its stack is none.
std::string process_of(const core::VerifiedEntry& verified) {
  const pid_t pid = verified.entry.pid;
  if (pid == 0) return "an ancestor";
  if (verified.liveness == core::Liveness::live_proved) return fmt::format("ancestor pid {}", pid);
  return fmt::format("pid {} (from {})", pid, core::stack_variable);
}

// The option that takes a lock in another command, too. The target of a lock file of another
// program is unknown.
std::string outer_command(const LockName& lock) {
  if (lock.target.empty()) return "take it before the other one";
  return "take both in the outer command: " +
         shell_line({"-l", fmt::format("{}:{}", core::name_of(lock.tier), lock.target)});
}

// How to take two locks of one tier. A process that is no ancestor holds the first one until
// it ends, so it is where both must be named.
std::string one_command(const LockName& lock, const core::VerifiedEntry& ancestor) {
  const core::StackEntry& held = ancestor.entry;
  const auto place = core::lock_place_of(held.path);
  // How many slots there are isn't known here.
  if (!place || lock.target.empty() || lock.tier == core::Tier::semaphore) return outer_command(lock);
  constexpr std::string_view replacement = "\uFFFD";  // the stack has only UTF-8
  if (place->target.find(replacement) != std::string::npos) return "take both in one command";
  if (ancestor.liveness != core::Liveness::live_proved && held.pid != 0) {
    return fmt::format("name both where pid {} was started: {}", held.pid, shell_line({place->target, lock.target}));
  }
  if (held.mode == sys::Mode::shared) return "take both in one command";  // whether as shared isn't known here
  std::vector<std::string> words;
  if (lock.tier != core::Tier::per_pack) words = {"-t", std::string(core::name_of(lock.tier))};
  words.insert(words.end(), {place->target, lock.target, "--", "CMD"});
  return "take both in one command: " + own_line("run", std::move(words));
}

// What to do below the lock of a script, which proves nothing to its commands.
constexpr std::string_view below_hold =
    "if this script took the lock, by 'grex-lock hold', run the command without grex-lock";

// An ancestor holds this very lock, or may hold it. That is a fault of the script, not
// contention, so neither -E nor -q applies.
Failure ancestor_failure(const LockName& lock, const core::StackEntry& ancestor) {
  Failure failure;
  failure.kind = ErrorKind::reentry;
  failure.what = "busy";
  failure.path = ancestor.shown_name();
  failure.exit_code = exit_code::busy;
  failure.tier = lock.tier;
  failure.ancestor = ancestor;
  return failure;
}

}  // namespace

LockName name_of(const core::HeldLock& lock) { return {lock.tier(), lock.path(), lock.target()}; }

LockName name_of(const core::Target& target) { return {target.tier(), target.shown_path(), target.path}; }

LockName name_of(const core::Target& target, const core::TargetFile& file) {
  return {target.tier(), file.names.empty() ? target.path : file.path(0), target.path};
}

bool is_of_lock(const core::StackEntry& entry, const LockName& lock) {
  const auto place = core::lock_place_of(entry.path);
  return place && place->tier == lock.tier && place->target == lock.target && entry.tier == lock.tier;
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
  if (!failure.hint.empty()) failure.hint += "; or ";
  failure.hint += fmt::format("use --layout {}, which does not exclude grex {}", core::name_of(other->layout),
                              core::releases_of(refused->layout));
  return failure;
}

Failure stack_failure() {
  Failure failure;
  failure.kind = ErrorKind::stack;
  failure.what = "bad environment";
  failure.path = core::stack_variable;
  failure.why = "not written by grex-lock";
  failure.hint =
      "run 'unset GREX_LOCK_STACK' if no ancestor holds a lock; a shell needs --export, since --export=env has no "
      "quotes";
  failure.exit_code = exit_code::stack;
  return failure;
}

Failure reentry_failure(const LockName& lock, const core::VerifiedEntry& ancestor, sys::Mode wanted) {
  Failure failure = ancestor_failure(lock, ancestor.entry);
  const std::string process = process_of(ancestor);
  if (!core::is_enough(ancestor.entry.mode, wanted)) {
    failure.why = fmt::format("{} holds only a shared lock", process);
    failure.hint = "take it exclusively there";
    if (lock.tier == core::Tier::workspace_sync) failure.hint += "; --guard takes it shared";
    return failure;
  }
  failure.why = fmt::format("already held by {}", process);
  const bool is_proved = ancestor.liveness == core::Liveness::live_proved;
  failure.hint = is_proved ? "use --reentrant here to continue under its lock" : below_hold;
  return failure;
}

Failure unproved_failure(const LockName& lock, const core::StackEntry& ancestor) {
  Failure failure = ancestor_failure(lock, ancestor);
  failure.why = "an ancestor seems to hold it";
  failure.hint = fmt::format("--reentrant needs an open descriptor as proof; {}", below_hold);
  return failure;
}

Failure order_failure(const LockName& lock, const core::VerifiedEntry& ancestor) {
  Failure failure;
  failure.kind = ErrorKind::tier_violation;
  failure.what = "tier order";
  failure.path = lock.path;
  failure.exit_code = exit_code::tier_violation;
  failure.tier = lock.tier;
  const core::StackEntry& held = ancestor.entry;
  failure.ancestor = held;
  const std::string process = process_of(ancestor);
  if (is_of_lock(held, lock)) {
    failure.why =
        fmt::format("must be taken before the other file of this lock, {}, which {} holds", held.shown_name(), process);
    failure.hint = "take both files there, or only the other one here: --layout nested";
  } else if (held.tier == lock.tier) {
    failure.why = fmt::format("must be taken together with {} ({}), which {} holds", held.shown_name(),
                              core::name_of(held.tier), process);
    failure.hint = one_command(lock, ancestor);
  } else {
    failure.why = fmt::format("{} must be taken before {} {}, which {} holds", core::name_of(lock.tier),
                              core::name_of(held.tier), held.shown_name(), process);
    failure.hint = outer_command(lock);
  }
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

Failure timeout_failure(Failure busy, std::chrono::nanoseconds limit) {
  busy.kind = ErrorKind::timeout;
  const auto shown = std::chrono::duration_cast<std::chrono::milliseconds>(limit);
  busy.what = shown.count() == 0 ? "timed out" : fmt::format("timed out after {}", format_duration(shown));
  return busy;
}

}  // namespace grex::cli
