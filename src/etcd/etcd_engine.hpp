#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/acquisition.hpp"
#include "etcd/breaking.hpp"
#include "etcd/credentials.hpp"
#include "etcd/due.hpp"
#include "etcd/engine.hpp"
#include "etcd/gateway.hpp"
#include "etcd/held_watch.hpp"
#include "etcd/http.hpp"
#include "etcd/inquiry.hpp"
#include "etcd/lease.hpp"
#include "etcd/listing.hpp"

namespace grex::etcd {

/// Locks in etcd: a lock is a queue of keys, of which the oldest one holds it.
class EtcdEngine : public Engine {
 public:
  /// `observer` is borrowed.
  EtcdEngine(EngineObserver& observer, Credentials credentials);

  void begin(const core::KeeperRequest& request) override;
  [[nodiscard]] Due due() const override;
  void wait(std::span<pollfd> others) override { http_.wait(others); }
  void advance() override;
  [[nodiscard]] std::string trouble() const override { return gateway_ ? gateway_->trouble() : std::string(); }

 private:
  void take(const core::AcquireRequest& request);
  void take(const core::MoreRequest& request);
  void take(const core::AdoptRequest& request);
  void take(const core::StartedRequest&) {}
  void take(const core::CancelRequest& request);
  void take(const core::ReleaseRequest& request);
  void take(const core::ListRequest& request);
  void take(const core::ProbeRequest& request);
  void take(const core::WaitRequest& request);
  void take(const core::BreakRequest& request);

  /// Returns false, and reports why, if the cluster can't be asked.
  bool open(const core::ClusterPlace& place);
  void ask_version();
  [[nodiscard]] LeaseEvents lease_events();
  void begin_lease();
  void begin_acquisition();
  void inquire(const core::ClusterPlace& place, const std::vector<core::ClusterLock>& locks, core::IfBusy if_busy);

  void take_waiting(core::WaitingReport report);
  void take_held(const std::vector<core::HeldKey>& keys, std::string cluster);
  void take_loss(core::LossReason reason);
  void queue_again();
  void forget_requests();
  void fail(core::FailedReport failure);
  void fail_after_silence(std::uint64_t now);

  /// Ends what is not answered yet; then the locks that it wanted are not asked for any more.
  void withdraw(std::function<void()> then);
  void revoke(std::uint64_t lease, std::function<void(bool ok)> then);
  void remove_keys(std::vector<core::HeldKey> keys, std::function<void()> then);
  [[nodiscard]] std::chrono::nanoseconds patience() const;
  [[nodiscard]] Due silence_due() const;

  EngineObserver& observer_;
  Credentials credentials_;
  Http http_;
  std::optional<Gateway> gateway_;
  core::ClusterPlace place_;
  std::chrono::milliseconds ttl_{0};  // as requested
  AcquisitionPlan plan_;              // of the request that has no answer yet
  std::uint64_t begun_at_ = 0;        // that request
  std::string caveat_;                // of the server
  std::optional<Lease> lease_;
  std::vector<core::HeldKey> held_;
  bool is_adopting_ = false;  // `held_` are not confirmed yet
  std::optional<HeldWatch> watch_;
  std::optional<Acquisition> acquisition_;
  std::optional<Inquiry> inquiry_;
  std::optional<Listing> listing_;
  std::optional<Breaking> breaking_;
  std::unique_ptr<GatewayCall> call_;  // of a request without a class of its own
};

}  // namespace grex::etcd
