#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/cluster.hpp"
#include "core/lock/record.hpp"
#include "core/lock/wait_policy.hpp"

namespace grex::core {

/// What a holder or waiter of a lock has written into the cluster. Another machine wrote it, so it
/// may be anything: nullopt if it is no record.
struct ClusterValue {
  Record record;
  std::optional<sys::Mode> mode;
};
std::optional<ClusterValue> parse_cluster_value(std::string_view text);

/// The text of a record, with what else it says of the lock.
std::string cluster_value(const Record& record, sys::Mode mode, unsigned slots);

/// What the cluster is asked for of a target; the value is empty.
ClusterLock cluster_lock_of(const Target& target);

/// The locks of a cluster, as core::acquire takes them. All references are borrowed.
class ClusterLocks : public RemoteLocks {
 public:
  /// `record` is what is written of this process; its tier and path are set.
  ClusterLocks(Cluster& cluster, Record record, ClusterWaitObserver& observer)
      : cluster_(cluster), record_(std::move(record)), observer_(observer) {}

  Result<sys::WaitEnd> take(Tier tier, const std::vector<Target>& targets, const WaitPolicy& policy) override;
  [[nodiscard]] std::optional<ClusterEntry> entry_of(std::size_t target) const override;
  void release() override;

  [[nodiscard]] const std::string& url() const { return cluster_.settings().url; }

  /// After take() has not returned `held`: the lock that is in the way, or after remote_failed, why
  /// the cluster could not be asked.
  [[nodiscard]] const ClusterEnd& end() const { return end_; }
  [[nodiscard]] const ClusterFailure& failure() const { return failure_.value(); }

 private:
  Cluster& cluster_;
  Record record_;
  ClusterWaitObserver& observer_;
  struct Taken {
    std::string name;
    HeldKey key;
  };
  std::map<std::size_t, Taken> taken_;  // by the index of the target
  ClusterEnd end_;
  std::optional<ClusterFailure> failure_;
};

}  // namespace grex::core
