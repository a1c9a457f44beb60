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

/// A busy lock, and how to report it.
struct BusyLock {
  LockName name;
  std::vector<sys::LockFileName> files;  ///< the busy file, or those of all slots; and the next ones of the lock
  BusyReport report = {};
  Audience audience = Audience::none;
};

/// Another process has the lock, and nothing is known of it.
Failure unknown_holder_failure(const BusyLock& lock);

/// Another process has the lock. Once it should stop, which any user can bring about by many
/// locks, the failure has the holders found so far.
Failure busy_failure(const BusyLock& lock, const StopToken& should_stop);

/// The same when nothing is left to wait for, after `waited`: the user, who limited the wait
/// by -n or -w, waits for the message. The search ends after 100 ms; and if it then is blocked
/// in the kernel, after a second.
Failure busy_failure_soon(const BusyLock& lock, std::chrono::milliseconds waited = {});

/// Calls busy_failure. Once it should stop, it reports the holders found so far.
using FindBusy = std::function<Failure(const StopToken& should_stop)>;

}  // namespace grex::cli
