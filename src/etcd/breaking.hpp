#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {

/// Asks the holder of a key to release it, by a mark in the value, and waits until the key is
/// gone. If its lease runs out, or it is still there after one lease, its keeper does not work: in the
/// second case, the key is deleted.
/// Its report is `released` or `failed`, and may destroy it.
class Breaking {
 public:
  /// `gateway` is borrowed.
  Breaking(Gateway& gateway, core::ClusterPlace place, core::HeldKey key,
           std::function<void(core::KeeperReport)> report);

  [[nodiscard]] Due due() const { return earlier(look_at_, delete_at_); }
  void advance(std::uint64_t now);

 private:
  void read();
  void take_value(const GatewayAnswer& answer);
  void mark(const KeyValue& kv);
  void ask_lease_time(std::uint64_t lease);
  void watch();
  void look_again();
  void remove();
  void end(bool ok);
  /// Also reports a failure.
  [[nodiscard]] bool is_answer(const GatewayAnswer& answer);
  void call(const char* path, std::string body, Gateway::Done done);

  Gateway& gateway_;
  core::ClusterPlace place_;
  core::HeldKey key_;
  std::function<void(core::KeeperReport)> report_;
  bool is_marked_ = false;
  Due look_at_;
  Due delete_at_;
  Due lease_ends_at_;  // as of the last look, in whole seconds, rounded down
  std::unique_ptr<GatewayCall> call_;
  std::unique_ptr<GatewayCall> watching_;
};

}  // namespace grex::etcd
