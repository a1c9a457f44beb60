#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/wait_progress.hpp"
#include "cli/report/events.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/queue_position.hpp"
#include "core/lock/acquire.hpp"
#include "core/lock/record.hpp"

namespace grex::cli {

/// Locks as a command holds them.
struct Acquired {
  std::vector<core::HeldLock> locks;  ///< none if ancestors have them, or slots have no limit
  core::TierStack stack;              ///< for descendants
  std::chrono::milliseconds waited{0};
  std::optional<core::ProcessIdentity> writer = {};  ///< of the records, if a wait gave the time to find it
};

/// Takes all of the locks, or none, and reports it as the options say.
Result<Acquired, Failure> take(Plan plan, const LockOptions& options, const GlobalOptions& global, Events& events);

/// Writes into the lock files which process holds them, by which verb, and for which
/// command; unless --no-record is given.
void write_records(Acquired& acquired, const LockOptions& options, const std::string& verb,
                   const std::vector<std::string>& command);

/// The audience for the holders of a busy lock.
Audience audience_of(const LockOptions& options, const GlobalOptions& global, const Events& events);

/// Reports, as the options say, what a wait is for: before it, as an event and with
/// -v; and on standard error until what is returned is dropped, unless it is null.
std::unique_ptr<WaitProgress> announce_wait(const LockOptions& options, const GlobalOptions& global,
                                            const Events& events, core::Queue queue, FindBusy find_busy);

/// Announces the waits of core::acquire. Borrows all that it is given.
class WaitAnnouncer : public core::WaitObserver {
 public:
  WaitAnnouncer(const LockOptions& options, const GlobalOptions& global, const Events& events)
      : options_(options), global_(global), events_(events) {}

  void wait_begins(const core::Target& target) override;
  void wait_ends() override { progress_.reset(); }

 private:
  const LockOptions& options_;
  const GlobalOptions& global_;
  const Events& events_;
  std::unique_ptr<WaitProgress> progress_;
};

/// How long to try for locks that are wanted since `start`; `observer` is borrowed.
core::WaitPolicy wait_policy_of(const LockOptions& options, std::chrono::steady_clock::time_point start,
                                core::WaitObserver& observer);

/// Why an attempt, made since `start`, did not get its locks.
Failure acquisition_failure(const core::Attempt& attempt, const std::vector<core::Target>& targets,
                            const LockOptions& options, Audience audience, std::chrono::steady_clock::time_point start);

}  // namespace grex::cli
