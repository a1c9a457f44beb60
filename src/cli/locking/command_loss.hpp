#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/locking/lost_watch.hpp"
#include "sys/process/descendants.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/forwarded_signals.hpp"

namespace grex::cli {

/// Watches the lock files of a command that runs, and stops it if --if-lost says so. Borrows
/// what LostWatch borrows. Must be created before the command.
class CommandLoss : private sys::TimedWork {
 public:
  CommandLoss(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience, const Events& events);

  /// The command has started. Adds what has to be done while it runs.
  void watch(pid_t command, std::vector<sys::TimedWork*>& works);

  /// Another child than the command has ended.
  void reap_adopted() const;

  LostWatch& files() { return watch_; }

  /// The command has ended, but a lock was lost, and --if-lost is `stop`: ends what the command
  /// has left. Returns what to say about it.
  std::string finish_stop(const sys::ForwardedSignals& signals);

 private:
  [[nodiscard]] std::optional<Deadline> due() const override;
  void do_now() override;

  LostWatch watch_;
  std::optional<sys::DescendantsEnd> descendants_;  // if --if-lost is `stop`
  pid_t command_ = 0;
  bool is_stopped_ = false;
};

}  // namespace grex::cli
