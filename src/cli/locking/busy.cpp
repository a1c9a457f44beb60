#include "cli/locking/busy.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/time_text.hpp"
#include "cli/report/holder_text.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {

Audience audience_of(const LockOptions& options, const GlobalOptions& global, const Events& events) {
  if (global.json || events.is_open()) return Audience::programs;
  return options.verbosity == Verbosity::quiet ? Audience::none : Audience::people;
}

BusyReport busy_report_of(const LockOptions& options) {
  return {options.conflict_exit_code.value_or(exit_code::busy), options.verbosity != Verbosity::quiet};
}

Failure busy_failure(const LockName& lock, const std::vector<std::string>& files, const BusyReport& busy,
                     Audience audience, const core::StopToken& should_stop) {
  Failure failure;
  failure.kind = ErrorKind::busy;
  failure.what = "busy";
  failure.path = lock.path;
  failure.exit_code = busy.exit_code;
  failure.tier = lock.tier;
  failure.is_printed = busy.is_printed;
  if (audience == Audience::none || should_stop()) return failure;
  bool still_held = false;
  bool is_list_cut = false;
  using Extent = core::HolderSearch::Extent;
  const auto extent = audience == Audience::people ? Extent::acquirers : Extent::all;
  for (core::FileReport& report : core::inspect(files, core::visible_mounts(), {extent, should_stop})) {
    still_held = still_held || report.state == core::LockState::held;
    is_list_cut = is_list_cut || report.is_list_cut;
    for (core::LockProcess& holder : report.holders) failure.holders.push_back(std::move(holder));
  }
  // By now, this process may have the lock.
  std::erase_if(failure.holders, [](const core::LockProcess& holder) { return holder.pid == sys::own_pid(); });
  failure.why = still_held ? holder_line(failure.holders, utc_now()) : "held a moment ago";
  if (is_list_cut && failure.holders.empty()) failure.why = "/proc/locks took too long to read";
  if (files.size() > 1) failure.why = fmt::format("all {} permits are taken; {}", files.size(), failure.why);
  return failure;
}

}  // namespace grex::cli
