#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/locking/cluster_watch.hpp"
#include "cli/locking/lost_watch.hpp"
#include "sys/process/hold_wait.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::cli {

/// Watches the locks of a hold, and ends it if a cluster has lost one, or if a lock file is lost and
/// --if-lost says so. Borrows what LostWatch and ClusterWatch borrow.
class HoldLoss : private sys::TimedWork {
 public:
  HoldLoss(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience, const Events& events);

  /// Watches from now on, as long as `ends` are waited for. With a cluster, SIGIO stays blocked.
  /// Errors: system.
  Result<void> begin(sys::HoldEnds& ends, std::vector<sys::TimedWork*>& works);

  LostWatch& files() { return files_; }

  /// Whether the hold must end.
  [[nodiscard]] bool must_stop() const { return files_.must_stop() || (cluster_ && cluster_->must_stop()); }

  /// Then its failure; `stopped` says what became of the process of --while-pid. A lost file must be
  /// reported first.
  [[nodiscard]] Failure failure(const std::string& stopped) const;

 private:
  [[nodiscard]] std::optional<Deadline> due() const override { return cluster_->due(); }
  void do_now() override { cluster_->look(); }

  LostWatch files_;
  std::optional<ClusterWatch> cluster_;
  std::optional<sys::SignalReader> news_;  // of SIGIO, if there is a cluster
};

}  // namespace grex::cli
