#pragma once

#include <chrono>
#include <vector>

#include "base/result.hpp"
#include "cli/locking/cluster_wait.hpp"
#include "core/cluster/cluster.hpp"
#include "core/lock/wait_policy.hpp"

namespace grex::cli {

/// Looks whether locks of a cluster are free, and keeps none. References are borrowed.
class ClusterProbe {
 public:
  /// Of the targets, those that want one.
  ClusterProbe(const core::ClusterSettings& settings, const std::vector<core::Target>& targets,
               const LockOptions& options, const GlobalOptions& global, const Events& events);

  /// A Failure if one is busy, or the cluster can't be asked.
  Result<void, Failure> check_free();

  /// Waits, if need be, until each of them has been free once, and returns whether they were free
  /// without a wait. A Failure also if the wait, which began at `start`, has ended before.
  Result<bool, Failure> wait_until_free(const core::WaitPolicy& policy, std::chrono::steady_clock::time_point start);

 private:
  core::Cluster cluster_;
  std::vector<core::ClusterLock> locks_;
  const LockOptions& options_;
  ClusterWaitAnnouncer announcer_;
};

}  // namespace grex::cli
