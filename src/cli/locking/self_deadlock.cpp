#include "cli/locking/self_deadlock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>

#include "cli/args/command_line.hpp"
#include "cli/report/output.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {
namespace {

// How long the search may take: with -n, as long as naming a holder.
std::chrono::nanoseconds limit_of(const LockOptions& options) {
  if (options.nonblock) return std::chrono::milliseconds(100);
  constexpr std::chrono::nanoseconds longest = std::chrono::seconds(1);
  return options.timeout ? std::min(longest, *options.timeout) : longest;
}

std::string probable_text(const core::AncestorLock& held) {
  if (held.by == core::AncestorLock::By::ancestor) {
    return fmt::format("ancestor pid {} has it locked on descriptor {}", held.holder, held.descriptor);
  }
  const std::string whose = held.ancestor == sys::own_pid() ? "this process" : "ancestor";
  return fmt::format(
      "hold pid {} keeps it until {} pid {} ends; was its --export not evaluated, or GREX_LOCK_STACK dropped (env -i, "
      "sudo)?",
      held.holder, whose, held.ancestor);
}

}  // namespace

std::optional<core::AncestorLock> find_own_lock(const LockName& lock, const core::WantedFile& wanted,
                                                const LockOptions& options) {
  // In a thread: strangers' command lines may be longer than the memory that is left.
  using Found = std::optional<core::AncestorLock>;
  const auto limit = std::chrono::ceil<std::chrono::milliseconds>(limit_of(options));
  Found held = sys::result_within<Found>(limit, [files = wanted.files, mode = wanted.mode, limit] {
                 return core::find_ancestor_lock(files, mode, watched_pid, stop_after(limit));
               }).value_or(std::nullopt);
  if (!held || core::is_certain(*held)) return held;
  if (!options.nonblock) note(fmt::format("possible deadlock: {}: {}", lock.path, probable_text(*held)));
  return std::nullopt;
}

core::StackEntry entry_of(const core::AncestorLock& held, const LockName& lock) {
  core::StackEntry entry;
  entry.tier = lock.tier;
  // A slot's path is known by the descriptor only.
  entry.path = lock.tier == core::Tier::semaphore && !held.path.empty() ? held.path : lock.path;
  entry.file = held.file;
  const bool has_number_here = held.holder > 0 && sys::own_pid_in_proc() == sys::own_pid();
  entry.pid = has_number_here ? held.holder : 0;
  entry.mode = held.mode;
  return entry;
}

Failure with_descriptor(Failure failure, const core::AncestorLock& held, sys::Mode wanted) {
  const bool is_refused = failure.kind == ErrorKind::reentry;
  if (!is_refused || held.by != core::AncestorLock::By::inherited) return failure;
  if (core::is_enough(held.mode, wanted)) {
    failure.why = fmt::format("this process inherited it on descriptor {}", held.descriptor);
    failure.hint = fmt::format(
        "use --reentrant here to continue under its lock; a daemon that needs no lock can close it: exec {}>&-",
        held.descriptor);
  } else {
    failure.why = fmt::format("this process inherited only a shared lock on descriptor {}", held.descriptor);
  }
  return failure;
}

}  // namespace grex::cli
