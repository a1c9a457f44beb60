#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {

/// The holders and waiters of a lock from its keys, oldest first. Keys that grex-lock would not
/// write are left out. How many slots a lock has, the records say.
std::vector<core::ListedLock> listed_locks(std::vector<KeyValue> kvs);

/// Lists the holders and waiters of locks, or of a whole namespace, with what is left of the
/// holders' leases. Its reports are `listed` and `failed`; the last of them may destroy it.
class Listing {
 public:
  /// `gateway` is borrowed.
  Listing(Gateway& gateway, core::ClusterPlace place, const std::vector<core::ClusterLock>& locks,
          std::function<void(core::KeeperReport)> report);

 private:
  void read_next();
  void take_page(const GatewayAnswer& answer);
  void ask_next_lease();
  void report_all();
  void call(const char* path, std::string body, Gateway::Done done);

  Gateway& gateway_;
  core::ClusterPlace place_;
  std::function<void(core::KeeperReport)> report_;
  std::vector<std::string> prefixes_;  // still to read; the last one first
  std::string from_;                   // the next key of it
  std::vector<KeyValue> kvs_;
  std::vector<core::ListedLock> listed_;
  std::size_t next_lease_ = 0;
  std::unique_ptr<GatewayCall> call_;
};

}  // namespace grex::etcd
