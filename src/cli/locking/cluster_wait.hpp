#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "cli/args/options.hpp"
#include "cli/locking/wait_progress.hpp"
#include "cli/report/events.hpp"
#include "core/cluster/cluster.hpp"

namespace grex::cli {

/// Announces the waits for locks of a cluster. Borrows all its arguments.
class ClusterWaitAnnouncer : public core::ClusterWaitObserver {
 public:
  ClusterWaitAnnouncer(const LockOptions& options, const GlobalOptions& global, const Events& events,
                       std::chrono::nanoseconds lease)
      : options_(options), global_(global), events_(events), lease_(lease) {}

  void waits(const core::WaitingReport& waiting, const sys::SharedDeadline& lease_end) override;
  void wait_ends() override { progress_.reset(); }

 private:
  struct Seen;
  const LockOptions& options_;
  const GlobalOptions& global_;
  const Events& events_;
  const std::chrono::nanoseconds lease_;
  std::shared_ptr<Seen> seen_;  // with the thread that reports it
  std::unique_ptr<WaitProgress> progress_;
};

/// Why a lock of a cluster was not taken, or is not free: `end` is not `held`. `start` is that of
/// the wait, if there was one.
Failure failure_in_cluster(const core::ClusterEnd& end, const LockOptions& options,
                           std::optional<std::chrono::steady_clock::time_point> start = {});

}  // namespace grex::cli
