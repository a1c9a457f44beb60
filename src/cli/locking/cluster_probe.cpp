#include "cli/locking/cluster_probe.hpp"

#include <utility>

#include "cli/report/cluster_failure.hpp"
#include "core/cluster/cluster_locks.hpp"

namespace grex::cli {

ClusterProbe::ClusterProbe(const core::ClusterSettings& settings, const std::vector<core::Target>& targets,
                           const LockOptions& options, const GlobalOptions& global, const Events& events)
    : cluster_(settings), options_(options), announcer_(options, global, events, settings.lease) {
  for (const core::Target& target : targets) {
    if (target.wants_cluster()) locks_.push_back(core::cluster_lock_of(target));
  }
}

Result<void, Failure> ClusterProbe::check_free() {
  if (locks_.empty()) return {};
  const auto end = cluster_.probe(locks_);
  if (!end) return cluster_failure(end.error(), cluster_.settings().url);
  if (end->end.outcome == sys::Acquire::held) return {};
  return failure_in_cluster(*end, options_);
}

Result<bool, Failure> ClusterProbe::wait_until_free(const core::WaitPolicy& policy,
                                                    std::chrono::steady_clock::time_point start) {
  if (locks_.empty()) return true;
  const auto probed = cluster_.probe(locks_);
  if (!probed) return cluster_failure(probed.error(), cluster_.settings().url);
  if (probed->end.outcome == sys::Acquire::held) return true;
  if (!policy.waits) return failure_in_cluster(*probed, options_, start);
  const auto end = cluster_.wait(locks_, {true, policy.deadline, &announcer_});
  if (!end) return cluster_failure(end.error(), cluster_.settings().url);
  if (end->end.outcome == sys::Acquire::held) return false;
  return failure_in_cluster(*end, options_, start);
}

}  // namespace grex::cli
