#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"
#include "etcd/turn.hpp"

namespace grex::etcd {

/// Finds out whether locks are free, one after the other, without a key or a lease; and waits
/// until each has been free once, if it must. Its reports are `waiting`, `free`, `busy` and
/// `failed`; the last of them may destroy it.
class Inquiry {
 public:
  /// `gateway` is borrowed.
  Inquiry(Gateway& gateway, core::ClusterPlace place, std::vector<core::ClusterLock> locks, core::IfBusy if_busy,
          std::function<void(core::KeeperReport)> report);

  [[nodiscard]] bool is_waiting() const { return turn_ && turn_->has_waited(); }
  [[nodiscard]] Due due() const { return turn_ ? earlier(turn_->due(), look_at_) : Due(); }
  void advance(std::uint64_t now);

 private:
  void begin_next();

  Gateway& gateway_;
  core::ClusterPlace place_;
  std::vector<core::ClusterLock> locks_;
  core::IfBusy if_busy_;
  std::function<void(core::KeeperReport)> report_;
  std::size_t next_ = 0;
  Due look_at_;
  std::optional<Turn> turn_;
};

}  // namespace grex::etcd
