#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"
#include "etcd/lease.hpp"
#include "etcd/turn.hpp"

namespace grex::etcd {

/// What an acquisition needs to know.
struct AcquisitionPlan {
  std::string ns;
  std::vector<core::ClusterLock> locks;  ///< in the order in which they are taken
  core::IfBusy if_busy = core::IfBusy::wait;
  std::uint64_t give_up_at = 0;          ///< if no server has answered by then
  std::chrono::nanoseconds patience{0};  ///< how long no server may answer once a key is in the queue
};

struct AcquisitionEvents {
  std::function<void(core::WaitingReport report)> waiting;
  std::function<void(std::vector<core::HeldKey> keys, std::string cluster)> held;
  std::function<void(core::FailedReport failure)> failed;
  /// The lease has ended, as far as a server says.
  std::function<void()> lease_gone;
};

/// Takes one lock after the other, each by a key with the lease: puts the key, waits for its
/// turn, and after a wait makes sure that the lease and all keys are still there.
class Acquisition {
 public:
  /// `gateway` and `lease` are borrowed.
  Acquisition(Gateway& gateway, Lease& lease, AcquisitionPlan plan, AcquisitionEvents events);
  ~Acquisition();
  Acquisition(const Acquisition&) = delete;
  Acquisition& operator=(const Acquisition&) = delete;

  /// The keys that it may have put.
  [[nodiscard]] const std::vector<core::HeldKey>& keys() const { return keys_; }

  /// Whether a key waits for its turn.
  [[nodiscard]] bool is_waiting() const { return turn_ && turn_->has_waited(); }

  /// To be called from time to time, because a watch may have lost what it waits for.
  void look();

  [[nodiscard]] Due due() const { return turn_ ? turn_->due() : Due(); }
  void advance(std::uint64_t now);

 private:
  void begin_next();
  void take_created(const GatewayAnswer& answer);
  void take_turn();
  void finish_lock();
  [[nodiscard]] std::uint64_t give_up_at() const;
  [[nodiscard]] std::chrono::nanoseconds patience() const;

  Gateway& gateway_;
  Lease& lease_;
  AcquisitionPlan plan_;
  AcquisitionEvents events_;
  std::size_t next_ = 0;  // the lock that is being taken
  std::vector<core::HeldKey> keys_;
  std::string cluster_;
  std::unique_ptr<GatewayCall> creating_;
  std::optional<Turn> turn_;
};

}  // namespace grex::etcd
