#include "cli/commands/fd_lock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/deadline.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "core/lock/held_lock.hpp"
#include "sys/lock/flock_wait.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

core::WantedFile core_file_of(const WantedFd& wanted) {
  return {
      wanted.open.name.tier, {wanted.open.file.id}, files_before(wanted.open), wanted.mode, {wanted.open.name.path}};
}

bool is_kept(const WantedFd& wanted) { return wanted.existing && wanted.existing->mode == wanted.mode; }

// When the lock was taken that a descriptor has already, if the stack lists it.
std::optional<std::uint64_t> time_in(const core::TierStack& stack, const FdFile& open,
                                     const core::KernelLock& existing) {
  const auto is_it = [&](const core::StackEntry& entry) {
    return entry.file == open.file.id && entry.pid == existing.pid;
  };
  const auto entry = std::find_if(stack.begin(), stack.end(), is_it);
  return entry == stack.end() ? std::nullopt : entry->taken;
}

// Takes the lock, and waits for it as long as the options allow; `ours` if it turns out
// that an ancestor has it.
Result<Reentry, Failure> wait_for_lock(WantedFd& wanted, Acquired& acquired, const LockOptions& options,
                                       const GlobalOptions& global, const Events& events,
                                       std::chrono::steady_clock::time_point start) {
  const BusyReport report = busy_report_of(options);
  FdFile& open = wanted.open;
  const auto failed = [&open](const Error& error) {
    return failure_from(at_path(error, open.name.path), open.name.tier);
  };
  std::vector<sys::LockFileName> files = {open.lookup_name};
  for (const core::TargetFile& other : open.others) {
    if (other.layout > open.place->layout) files.push_back(other.name_at(0));
  }
  const BusyLock busy = {open.name, files, report, audience_of(options, global, events)};
  const auto tried = sys::try_lock(open.file.fd.get(), wanted.mode);
  if (!tried) return failed(tried.error());
  if (*tried == sys::Acquire::held) return Reentry::none;
  auto checked = check_busy(open.name, core_file_of(wanted), wanted.reentry, acquired.stack, options);
  if (!checked) return std::move(checked.error());
  if (checked->reentry == Reentry::ours) return Reentry::ours;
  if (options.nonblock) return busy_failure_soon(busy, elapsed_since(start));

  const auto progress = announce_wait(options, global, events, waited_lock({{open.lookup_name}, {}, files.back()}),
                                      unknown_holder_failure(busy),
                                      [busy](const StopToken& should_stop) { return busy_failure(busy, should_stop); });
  std::optional<Deadline> deadline;
  if (options.timeout) deadline = start + *options.timeout;
  const auto end = sys::wait_lock(open.file, wanted.mode, deadline);
  acquired.waited = elapsed_since(start);
  if (!end) return failed(end.error());
  if (end->outcome == sys::Acquire::cancelled) return cancelled_failure(open.name, end->signal, report);
  if (end->outcome == sys::Acquire::timed_out) {
    return timeout_failure(busy_failure_soon(busy, acquired.waited), *options.timeout);
  }
  return Reentry::none;
}

// The entry of a lock that is taken again in the same mode: it still belongs to the process
// that took it first.
core::StackEntry entry_of_kept(const WantedFd& wanted) {
  const FdFile& open = wanted.open;
  const pid_t pid = wanted.existing->pid > 0 ? wanted.existing->pid : sys::own_pid();
  return {open.name.tier, open.name.path, open.file.id, pid, wanted.existing->mode, wanted.taken};
}

// Of a lock's files that are locked here, the nested one has the record.
bool gets_record(const FdFile& open, const std::vector<WantedFd>& files) {
  return open.place && std::none_of(files.begin(), files.end(), [&open](const WantedFd& other) {
           return other.open.place && other.open.place->tier == open.place->tier &&
                  other.open.place->target == open.place->target && other.open.place->layout > open.place->layout;
         });
}

Failure with_conversion_hint(Failure failure, const WantedFd& wanted) {
  if (wanted.existing && (failure.hint.empty() || failure.kind == ErrorKind::reentry)) {
    failure.hint = fmt::format("descriptor {} has also lost its {} lock: flock(2) converts in two steps",
                               wanted.open.number, sys::name_of(wanted.existing->mode));
  }
  return failure;
}

Result<void, Failure> take_lock(WantedFd& wanted, bool has_record, const LockOptions& options,
                                const GlobalOptions& global, const Events& events,
                                std::chrono::steady_clock::time_point start, FdLocks& locks) {
  if (wanted.existing && wanted.mode == sys::Mode::shared) {  // which has no record
    if (const auto record = fd_record_in(wanted.open)) core::mark_released(wanted.open.file, *record, {});
  }
  const auto reentry = wait_for_lock(wanted, locks.acquired, options, global, events, start);
  if (!reentry) return with_conversion_hint(reentry.error(), wanted);
  if (*reentry == Reentry::ours) return {};
  const auto same = refuse_replaced(wanted.open);
  if (same && wanted.open.place && wanted.open.file.is_new) {
    locks.acquired.git.look_at(wanted.open.lookup_name, options);
  }
  std::vector<core::HeldFile> file;
  file.push_back({std::move(wanted.open.file), wanted.open.name.path, wanted.open.lookup_name});
  core::HeldLock lock(wanted.open.name.tier, {}, wanted.mode, std::move(file));
  if (!same) return with_conversion_hint(same.error(), wanted);
  locks.entries.push_back(lock.stack_entries().front());
  core::add_entry(locks.acquired.stack, locks.entries.back());
  (has_record ? locks.acquired.locks : locks.without_record).push_back(std::move(lock));
  return {};
}

}  // namespace

Result<void, Failure> judge_all(std::vector<WantedFd>& files, core::TierStack& stack, const LockOptions& options) {
  const auto live = live_stack(options);
  if (!live) return live.error();
  stack = core::live_entries(*live);
  for (WantedFd& wanted : files) {
    wanted.existing = lock_of(wanted.open);
    if (!wanted.existing) {
      const auto reentry = reentry_of(wanted.open.name, core_file_of(wanted), *live, options);
      if (!reentry) return reentry.error();
      wanted.reentry = *reentry;
      continue;
    }
    if (auto same = refuse_replaced(wanted.open); !same) return same.error();
    wanted.taken = time_in(stack, wanted.open, *wanted.existing);
    remove_entries(stack, wanted.open.file.id);
  }
  return {};
}

Result<void, Failure> lock_all(std::vector<WantedFd>& files, const LockOptions& options, const GlobalOptions& global,
                               const Events& events, std::chrono::steady_clock::time_point start, FdLocks& locks) {
  for (WantedFd& wanted : files) {
    if (wanted.reentry == Reentry::ours) continue;
    if (is_kept(wanted)) {
      locks.entries.push_back(entry_of_kept(wanted));
      locks.acquired.stack.push_back(locks.entries.back());
      continue;
    }
    const bool has_record = gets_record(wanted.open, files);
    auto taken = take_lock(wanted, has_record, options, global, events, start, locks);
    if (!taken) return taken;
  }
  return {};
}

}  // namespace grex::cli
