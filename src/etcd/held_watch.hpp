#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"

namespace grex::etcd {

/// Notices promptly that the key of a held lock has been deleted, or that another process has
/// asked for it. Renewals notice it, too, but later.
class HeldWatch {
 public:
  /// `gateway` is borrowed. `lost` may be called more than once.
  HeldWatch(Gateway& gateway, std::function<void(core::LossReason)> lost) : gateway_(gateway), lost_(std::move(lost)) {}

  /// Watches these keys, instead of those before, soon: a command that ends at once does not pay
  /// for a watch.
  void watch(std::vector<core::HeldKey> keys);

  void stop();

  [[nodiscard]] Due due() const { return open_at_; }
  void advance(std::uint64_t now);

 private:
  void open();
  void take_line(std::string_view line);

  Gateway& gateway_;
  std::function<void(core::LossReason)> lost_;
  std::vector<core::HeldKey> keys_;
  std::uint64_t from_ = 0;  // the revision from which on events matter; 0: now
  Due open_at_;
  std::unique_ptr<GatewayCall> stream_;
};

}  // namespace grex::etcd
