#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/args/options.hpp"
#include "cli/locking/wait_progress.hpp"
#include "cli/report/events.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/queue_position.hpp"
#include "core/lock/acquire.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The audience of a report on a busy lock.
Audience audience_of(const LockOptions& options, const GlobalOptions& global, const Events& events);

/// Reports, as the options say, what a wait is for: before it, as an event and with
/// -v; and on standard error until the returned object, if any, is destroyed.
std::unique_ptr<WaitProgress> announce_wait(const LockOptions& options, const GlobalOptions& global,
                                            const Events& events, core::Queue queue, FindBusy find_busy);

/// Announces the waits of core::acquire. Borrows all its arguments.
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

/// The line that a shell evaluates to take over the stack: `export GREX_LOCK_STACK=…`.
std::string export_line(const core::TierStack& stack);

/// The --json document of a command that holds locks, which lists them as the stack does.
std::string held_document(std::string_view verb, const std::vector<core::HeldLock>& locks);

/// The paths of the lock files, separated by commas.
std::string paths_of(const std::vector<core::HeldLock>& locks);

}  // namespace grex::cli
