#pragma once

#include <filesystem>
#include <string>

#include "etcd/etcd_server.hpp"
#include "etcd/keeper_client.hpp"

namespace grex::test {

inline std::string keeper_program() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "grex-lock-etcd";
}

inline core::ClusterLock lock_named(const std::string& name, const std::string& value = "{}") {
  return {core::Tier::per_pack, name, sys::Mode::exclusive, 0, value};
}

/// A keeper of locks in a real etcd.
class EtcdClient : public KeeperClient {
 public:
  explicit EtcdClient(const Setup& setup = {}) : KeeperClient(keeper_program(), setup) {}

  void request(const core::ClusterPlace& place, const std::vector<core::ClusterLock>& locks,
               core::IfBusy if_busy = core::IfBusy::wait) {
    send(core::AcquireRequest{core::keeper_protocol, place, short_lease, if_busy, locks});
  }
  core::HeldReport acquire(const core::ClusterPlace& place, const std::vector<core::ClusterLock>& locks) {
    request(place, locks);
    return expect<core::HeldReport>();
  }

  /// Whether it has come, without waiting for it. What else has come is discarded.
  std::optional<core::HeldReport> held_by_now() {
    while (const auto report = next_by_now()) {
      if (const auto* const held = std::get_if<core::HeldReport>(&*report)) return *held;
    }
    return std::nullopt;
  }

  bool release() {
    send(core::ReleaseRequest{});
    return expect<core::ReleasedReport>().ok;
  }

  /// Long enough for a machine that is busy with other tests.
  static constexpr std::chrono::seconds short_lease{10};
};

}  // namespace grex::test
