#include "cli/locking/busy.hpp"
#include "cli/args/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/time_text.hpp"
#include "cli/report/holder_text.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

namespace {

// Removes processes that are not among the known ones.
void remove_others(std::vector<core::LockProcess>& processes, const std::vector<core::LockProcess>& known) {
  std::erase_if(processes, [&known](const core::LockProcess& process) {
    return std::none_of(known.begin(), known.end(),
                        [&process](const core::LockProcess& other) { return process.pid && other.pid == process.pid; });
  });
}

std::string held_text(const BusyLock& lock, const std::vector<core::LockProcess>& holders) {
  const bool has_slots = lock.name.tier == core::Tier::semaphore && lock.files.size() > 1;
  if (!has_slots) return "held by " + holder_text(holders, utc_now());
  return fmt::format("all {} slots are in use: {}", lock.files.size(),
                     holder_text(holders, utc_now(), Detail::no_date));
}

}  // namespace

Audience audience_of(const LockOptions& options, const GlobalOptions& global, const Events& events) {
  if (global.json || events.is_open()) return Audience::programs;
  return options.verbosity == Verbosity::quiet ? Audience::none : Audience::people;
}

BusyReport busy_report_of(const LockOptions& options) {
  return {options.conflict_exit_code.value_or(exit_code::busy), options.verbosity != Verbosity::quiet};
}

Failure unknown_holder_failure(const BusyLock& lock) {
  Failure failure;
  failure.kind = ErrorKind::busy;
  failure.what = "busy";
  const bool is_any_slot = lock.name.tier == core::Tier::semaphore && lock.files.size() > 1;
  failure.path = is_any_slot ? lock.name.target : lock.name.path;
  failure.exit_code = lock.report.exit_code;
  failure.tier = lock.name.tier;
  failure.is_printed = lock.report.is_printed;
  return failure;
}

Failure busy_failure(const BusyLock& lock, const StopToken& should_stop) {
  Failure failure = unknown_holder_failure(lock);
  if (lock.audience == Audience::none) return failure;
  bool still_held = false;
  bool is_list_cut = false;
  std::string lease;
  using Extent = core::HolderSearch::Extent;
  const auto extent = lock.audience == Audience::people ? Extent::acquirers : Extent::all;
  std::vector<core::FileReport> reports =
      core::inspect(lock.files, core::visible_mounts(), {extent, should_stop, watched_pid});
  const bool has_slots = lock.name.tier == core::Tier::semaphore;
  for (std::size_t i = 0; i < reports.size(); ++i) {
    core::FileReport& inspected = reports[i];
    still_held = still_held || inspected.state == core::LockState::held;
    is_list_cut = is_list_cut || inspected.is_list_cut;
    if (inspected.lease && lease.empty()) lease = lease_text(*inspected.lease);
    // A process that has only the next file is not in the way yet, but its record may be
    // that of a holder that can't be seen.
    if (i > 0 && !has_slots && !failure.holders.empty()) remove_others(inspected.holders, failure.holders);
    core::add_processes(failure.holders, std::move(inspected.holders), lock.files[i].path());
  }
  if (is_list_cut && failure.holders.empty()) {
    failure.why = "/proc/locks took too long to read";
  } else if (still_held) {
    failure.why = held_text(lock, failure.holders);
  } else {
    failure.why = lease.empty() ? "its holder has just released it" : lease;
  }
  return failure;
}

Failure busy_failure_soon(const BusyLock& lock, std::chrono::milliseconds waited) {
  Failure failure = unknown_holder_failure(lock);
  failure.waited = waited;
  if (lock.audience == Audience::none) return failure;
  auto found = sys::result_within<Failure>(
      std::chrono::seconds(1), [lock] { return busy_failure(lock, stop_after(std::chrono::milliseconds(100))); });
  if (found) {
    found->waited = waited;
    return std::move(*found);
  }
  failure.why = "its holder could not be read in time";
  return failure;
}

}  // namespace grex::cli
