#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "cli/locking/cluster_watch.hpp"
#include "cli/locking/lost_watch.hpp"
#include "sys/process/descendants.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/forwarded_signals.hpp"

namespace grex::cli {

/// Watches the locks of a command that runs, and stops it if a cluster has lost one, or if a lock
/// file is lost and --if-lost says so. Borrows what LostWatch and ClusterWatch borrow. Must be
/// created before the command.
class CommandLoss : private sys::TimedWork {
 public:
  CommandLoss(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience, const Events& events);

  /// To be called before the command is started. A Failure: it must not be, since the cluster does
  /// not keep a lock any more, or that could not be noticed.
  Result<void, Failure> prepare();

  /// The command has started. Adds what has to be done while it runs.
  void watch(pid_t command, std::vector<sys::TimedWork*>& works);

  /// Another child than the command has ended.
  void reap_adopted() const;

  /// SIGIO has arrived.
  void look_at_cluster();

  LostWatch& files() { return files_; }

  /// Receives the ends of what the command has left running, once it has been reaped itself, and
  /// returns the processes that still run, whatever they have open.
  [[nodiscard]] std::vector<pid_t> reap_and_find_left();

  /// The command has ended, and left these processes running: waits until they have ended, too, or
  /// a lock is lost. A termination signal makes it end them. By then they may have started others.
  void wait_for(const std::vector<pid_t>& remaining, const sys::ForwardedSignals& signals);

  /// Whether the command had to be stopped, or what it has left must be.
  [[nodiscard]] bool must_stop() const;

  /// Then: ends what the command has left, and returns the failure. A lost file must be reported
  /// first.
  void finish_stop(const sys::ForwardedSignals& signals);
  [[nodiscard]] Failure failure() const;

 private:
  [[nodiscard]] std::optional<Deadline> due() const override;
  void do_now() override;
  [[nodiscard]] std::chrono::nanoseconds time_to_end() const;
  [[nodiscard]] std::string what_was_stopped() const;

  const Acquired& acquired_;
  LostWatch files_;
  std::optional<ClusterWatch> cluster_;
  std::optional<sys::DescendantsEnd> descendants_;  // if the command may have to be stopped
  pid_t command_ = 0;
  pid_t keeper_ = 0;
  bool is_stopped_ = false;
  bool have_all_ended_ = true;
};

}  // namespace grex::cli
