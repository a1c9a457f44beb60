#include "cli/commands/release_end.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/deadline.hpp"
#include "base/time_text.hpp"
#include "cli/args/command_line.hpp"
#include "cli/commands/release_find.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/ancestor_lock.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::cli {
namespace {

// Root may lack the right, in a container for example.
Failure signal_failure(const LockName& lock, pid_t pid, const Error& error) {
  Failure failure = failure_from(error, lock.tier);
  failure.what = "not released";
  failure.path = lock.path;
  failure.why += fmt::format(": hold pid {}", pid);
  if (error.kind == ErrorKind::permission) {
    failure.why = fmt::format("no permission to signal hold pid {}", pid);
    failure.hint = "to end it as its user: " + kill_line({pid});
  }
  return failure;
}

// The hold may be stopped. If it is not, a SIGCONT would cancel the SIGSTOP with which a debugger,
// or LeakSanitizer at the end of a process, attaches to it, and the process would wait forever.
Result<void, Failure> signal_end(const core::Hold& hold, const LockName& lock) {
  const auto send = [&hold](int signal) { return sys::signal_process(hold.process.get(), signal); };
  const bool is_stopped = sys::is_stopped_by_signal(sys::process_file(hold.pid, "stat").value_or(""));
  auto sent = is_stopped ? send(SIGCONT) : Result<void>();
  if (sent) sent = send(SIGTERM);
  if (!sent) return signal_failure(lock, hold.pid, sent.error());
  return {};
}

// The processes that these holds were kept for, but not this one or those above it: they
// have asked for the release.
std::vector<core::LockProcess> others_watched_by(const std::vector<core::Hold>& holds) {
  std::vector<core::LockProcess> watched;
  for (const core::Hold& hold : holds) {
    const auto pid = core::watched_by(hold.pid, watched_pid);
    if (pid && !core::is_us_or_above(*pid)) watched.push_back(core::waiting_process(*pid));
  }
  return watched;
}

void warn_of_unprotected(std::vector<core::LockProcess> processes) {
  std::erase_if(processes, [](const core::LockProcess& process) {
    return core::presence_of(process.pid.value_or(0), core::Numbering::in_proc) != core::Presence::running;
  });
  if (!processes.empty()) note(fmt::format("warning: {} may go on without the lock", process_list(processes)));
}

}  // namespace

Result<void, Failure> end_holds(const std::vector<core::Hold>& holds, std::vector<core::LockProcess> holders,
                                const LockName& lock, std::optional<std::chrono::nanoseconds> timeout,
                                Verbosity verbosity) {
  constexpr auto default_timeout = std::chrono::seconds(10);
  const auto start = Deadline::clock::now();
  const Deadline deadline = start + timeout.value_or(default_timeout);
  const bool is_verbose = verbosity == Verbosity::verbose;
  const auto watched = verbosity == Verbosity::quiet ? std::vector<core::LockProcess>() : others_watched_by(holds);
  std::optional<Failure> failure;
  std::vector<const core::Hold*> ending;
  bool is_any_asked = false;
  for (const core::Hold& hold : holds) {
    const bool ends_already = hold.kind == core::Hold::Kind::ending;
    auto signalled = ends_already ? Result<void, Failure>() : signal_end(hold, lock);
    if (signalled) {
      ending.push_back(&hold);
      is_any_asked = is_any_asked || !ends_already;
      if (is_verbose && !ends_already) note(fmt::format("asked to end: {}: pid {}", lock.path, hold.pid));
    } else if (!failure) {
      failure = std::move(signalled.error());
    }
  }
  std::vector<pid_t> late;
  for (const core::Hold* const hold : ending) {
    if (!sys::wait_for_end(hold->process.get(), deadline)) {
      late.push_back(hold->pid);
    } else if (is_verbose) {
      const auto waited = elapsed_since(start);
      note(fmt::format("released{}: {}: pid {}", waited.count() > 0 ? " after " + format_duration(waited) : "",
                       lock.path, hold->pid));
    }
  }
  if (failure) return std::move(*failure);
  if (late.empty()) {
    warn_of_unprotected(watched);
    return {};
  }
  Failure failed = not_released(
      lock,
      fmt::format("{}: {} {}",
                  is_any_asked ? "asked to end, but still there" : "held by a process that has not yet ended",
                  late.size() == 1 ? "pid" : "pids", fmt::join(late, ", ")),
      ErrorKind::timeout);
  std::erase_if(holders, [&late](const core::LockProcess& holder) {
    return std::find(late.begin(), late.end(), holder.pid) == late.end();
  });
  failed.holders = std::move(holders);
  failed.waited = elapsed_since(start);
  return failed;
}

}  // namespace grex::cli
