#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "cli/args/options.hpp"
#include "cli/report/events.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::cli {

/// The reader of a report on a busy lock, which decides how many holders it needs.
enum class Audience {
  none,      ///< no holders
  people,    ///< the process that took it
  programs,  ///< all processes that have it open, which reads all of /proc
};

/// The audience of a report on a busy lock.
Audience audience_of(const LockOptions& options, const GlobalOptions& global, const Events& events);

/// How to report a busy lock with these options.
BusyReport busy_report_of(const LockOptions& options);

/// Another process has the lock; `files` are all files of the lock. Once it should stop,
/// which any user can bring about by many locks, the failure has the holders found so far;
/// if it should stop from the beginning, nothing is looked at.
Failure busy_failure(const LockName& lock, const std::vector<std::string>& files, const BusyReport& busy,
                     Audience audience, const core::StopToken& should_stop);

/// For busy_failure when nothing is left to wait for: the user, who limited the wait by -n
/// or -w, waits for the message.
inline core::StopToken soon() { return stop_after(std::chrono::milliseconds(100)); }

/// Calls busy_failure. Once it should stop, it reports the holders found so far.
using FindBusy = std::function<Failure(const core::StopToken& should_stop)>;

}  // namespace grex::cli
