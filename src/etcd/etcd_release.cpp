// How EtcdEngine gives up what it holds or waits for.

#include <chrono>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/etcd_engine.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {
namespace {

constexpr std::chrono::seconds time_to_release(5);

}  // namespace

void EtcdEngine::take(const core::CancelRequest&) {
  withdraw([this] { observer_.report(core::ReleasedReport{}); });
}

void EtcdEngine::withdraw(std::function<void()> then) {
  const auto keys = acquisition_ ? acquisition_->keys() : std::vector<core::HeldKey>();
  forget_requests();
  if (!lease_) return then();
  if (!held_.empty()) return remove_keys(keys, std::move(then));
  const std::uint64_t lease = lease_->id();
  lease_->stop_renewing();
  if (lease == 0) {
    lease_.reset();
    return then();
  }
  revoke(lease, [this, then = std::move(then)](bool) {
    lease_.reset();
    then();
  });
}

void EtcdEngine::remove_keys(std::vector<core::HeldKey> keys, std::function<void()> then) {
  if (keys.empty()) return then();
  const core::HeldKey key = keys.back();
  keys.pop_back();
  lease_->remove(key.key);
  const std::uint64_t give_up_at = boot_clock_now() + in_ns(time_to_release);
  call_ = gateway_->call({"/v3/kv/txn", delete_body(key.key, key.token), request_timeout, give_up_at},
                         [this, keys = std::move(keys), then = std::move(then)](const GatewayAnswer&) mutable {
                           remove_keys(std::move(keys), std::move(then));
                         });
}

void EtcdEngine::revoke(std::uint64_t lease, std::function<void(bool ok)> then) {
  const std::uint64_t give_up_at = boot_clock_now() + in_ns(time_to_release);
  call_ = gateway_->call({"/v3/lease/revoke", lease_body(lease), request_timeout, give_up_at},
                         [this, then = std::move(then)](const GatewayAnswer& answer) {
                           call_.reset();
                           const bool is_gone = answer.error && answer.error->code == grpc_not_found;
                           then(is_gone || (!answer.failure && !answer.error));
                         });
}

void EtcdEngine::take(const core::ReleaseRequest&) {
  forget_requests();
  if (watch_) watch_->stop();
  held_.clear();
  if (!lease_ || lease_->id() == 0) return observer_.report(core::ReleasedReport{});
  lease_->stop_renewing();
  revoke(lease_->id(), [this](bool ok) {
    lease_.reset();
    observer_.report(core::ReleasedReport{ok});
  });
}

}  // namespace grex::etcd
