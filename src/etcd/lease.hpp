#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {

/// What happens to a lease.
struct LeaseEvents {
  /// It lasts until `deadline` at least.
  std::function<void(std::uint64_t deadline, std::chrono::nanoseconds ttl)> renewed;
  /// It has ended, or one of its keys is gone, or another process has asked for that key.
  std::function<void(core::LossReason reason, const std::string& key)> lost;
  /// It can't be renewed, and trying again will not help.
  std::function<void(core::FailedReport failure)> failed;
};

/// A lease, with the keys that it keeps: renews it, and makes sure each time that the keys are
/// still there. Only an answer of the cluster's present leader counts. After `lost`, it is
/// renewed no more, unless a key was asked for.
class Lease {
 public:
  /// `gateway` is borrowed.
  Lease(Gateway& gateway, LeaseEvents events) : gateway_(gateway), events_(std::move(events)) {}

  /// Asks for one; `granted` is called if there is one.
  void grant(std::chrono::milliseconds ttl, std::uint64_t give_up_at, std::function<void()> granted);

  /// Takes over one that is there.
  void adopt(std::uint64_t id, std::chrono::milliseconds ttl);

  /// The keys that are looked at from now on.
  void add(std::string key, std::uint64_t create_revision);
  void remove(const std::string& key);

  /// Renews it now. `confirmed` is called once it is renewed and all keys are there, with the
  /// revision of that moment.
  void confirm(std::function<void(const Header&)> confirmed);

  /// Forgets the function of confirm().
  void confirm_no_more() { confirmed_ = nullptr; }

  void stop_renewing();

  [[nodiscard]] std::uint64_t id() const { return id_; }  ///< 0: there is none
  [[nodiscard]] std::chrono::nanoseconds ttl() const { return ttl_; }
  [[nodiscard]] std::vector<core::HeldKey> keys() const { return keys_; }

  [[nodiscard]] Due due() const { return round_ ? Due() : renew_at_; }
  void advance(std::uint64_t now);

 private:
  void begin_round();
  void take_renewal(const GatewayAnswer& answer);
  void read_keys();
  void take_keys(const std::vector<core::HeldKey>& asked, const GatewayAnswer& answer);
  [[nodiscard]] bool find_losses(const std::vector<core::HeldKey>& asked, const Range& found);
  void end_round(const Header& header);
  void try_again(const GatewayAnswer& answer);
  void lose(core::LossReason reason, const std::string& key);

  Gateway& gateway_;
  LeaseEvents events_;
  std::uint64_t id_ = 0;
  std::chrono::nanoseconds ttl_{0};
  std::vector<core::HeldKey> keys_;  // with the create_revision as token
  Due renew_at_;                     // unless a round is going on
  std::unique_ptr<GatewayCall> round_;
  std::uint64_t sent_at_ = 0;          // of this round's renewal
  Header renewed_;                     // its header
  std::vector<core::HeldKey> unread_;  // keys that this round must still read
  std::chrono::nanoseconds new_ttl_{0};
  bool must_repeat_ = false;  // a confirmation was asked for during the round
  std::function<void(const Header&)> confirmed_;
};

}  // namespace grex::etcd
