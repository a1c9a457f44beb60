#pragma once

#include <memory>
#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/wait_progress.hpp"
#include "cli/report/events.hpp"
#include "core/inspect/queue_position.hpp"
#include "core/lock/acquire.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::cli {

/// Opens what the options and the environment name for events. A Failure is a usage error.
Result<void, Failure> open_events(Events& events, const LockOptions& options);

/// Reports, as the options say, what a wait is for, until the returned object, if any, is
/// destroyed: once, as an event and with -v; and repeatedly, on standard error. Returns
/// immediately, so that the wait can begin. The arguments are as in WaitProgress.
std::unique_ptr<WaitProgress> announce_wait(const LockOptions& options, const GlobalOptions& global,
                                            const Events& events, WaitedLock lock, Failure unknown, FindBusy find_busy);

/// Announces the waits of core::acquire. Borrows all its arguments.
class WaitAnnouncer : public core::WaitObserver {
 public:
  WaitAnnouncer(const LockOptions& options, const GlobalOptions& global, const Events& events)
      : options_(options), global_(global), events_(events) {}

  void wait_begins(const core::Target& target, const core::TargetFile& file) override;
  void wait_ends() override { progress_.reset(); }

 private:
  const LockOptions& options_;
  const GlobalOptions& global_;
  const Events& events_;
  std::unique_ptr<WaitProgress> progress_;
};

/// Notes the caveat, if there is one, of the file system of each of the locks.
void note_caveats(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
