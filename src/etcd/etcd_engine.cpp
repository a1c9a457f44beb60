#include "etcd/etcd_engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/failure.hpp"
#include "etcd/key.hpp"
#include "etcd/messages.hpp"
#include "etcd/server_version.hpp"

namespace grex::etcd {
namespace {

using core::ClusterFault;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds least_patience(60);

}  // namespace

EtcdEngine::EtcdEngine(EngineObserver& observer, Credentials credentials)
    : observer_(observer), credentials_(std::move(credentials)), http_(credentials_) {}

void EtcdEngine::begin(const core::KeeperRequest& request) {
  begun_at_ = boot_clock_now();
  std::visit([this](const auto& each) { take(each); }, request);
}

bool EtcdEngine::open(const core::ClusterPlace& place) {
  auto failure = credentials_failure(credentials_);
  if (!failure && place.endpoints.empty()) {
    failure = core::FailedReport{ClusterFault::cluster_config, {}, "no endpoints", {}};
  }
  if (failure) {
    observer_.report(std::move(*failure));
    return false;
  }
  if (gateway_) return true;  // of the first request
  place_ = place;
  gateway_.emplace(http_, credentials_, place.endpoints, static_cast<std::size_t>(::getpid()));
  return true;
}

void EtcdEngine::take(const core::AcquireRequest& request) {
  if (lease_ || request.locks.empty()) return fail({ClusterFault::internal, {}, "there is nothing to acquire", {}});
  if (!open(request.place)) return;
  ttl_ = request.ttl;
  plan_ = {request.place.ns, request.locks, request.if_busy, begun_at_ + in_ns(request.place.timeout), patience()};
  ask_version();
}

void EtcdEngine::ask_version() {
  call_ = gateway_->call({"/version", {}, request_timeout, plan_.give_up_at}, [this](const GatewayAnswer& answer) {
    call_.reset();
    if (answer.failure) return fail(*answer.failure);
    const auto text = parse_version(answer.body);
    if (!text) return fail({ClusterFault::cluster_config, {}, "not an etcd server", {}});
    const ServerVersion version = parse_server_version(*text);
    if (!is_supported(version)) {
      return fail({ClusterFault::cluster_config, {}, "etcd " + *text + " is too old", "3.4 or later"});
    }
    if (may_renew_ended_lease(version)) {
      caveat_ = "etcd " + *text + " can confirm a lease that has ended, fixed in 3.5.23 and 3.6.5";
    }
    begin_lease();
  });
}

LeaseEvents EtcdEngine::lease_events() {
  return {[this](std::uint64_t deadline, nanoseconds ttl) {
            observer_.renewed(deadline, ttl);
            if (acquisition_) acquisition_->look();
          },
          [this](core::LossReason reason, const std::string&) { take_loss(reason); },
          [this](core::FailedReport failure) {
            if (held_.empty() || std::exchange(is_adopting_, false)) fail(std::move(failure));
          }};
}

void EtcdEngine::begin_lease() {
  lease_.emplace(*gateway_, lease_events());
  const std::uint64_t give_up_at = std::max(plan_.give_up_at, boot_clock_now() + in_ns(request_timeout));
  lease_->grant(ttl_, give_up_at, [this] { begin_acquisition(); });
}

void EtcdEngine::begin_acquisition() {
  acquisition_.emplace(*gateway_, *lease_, plan_,
                       AcquisitionEvents{[this](core::WaitingReport report) { take_waiting(std::move(report)); },
                                         [this](const std::vector<core::HeldKey>& keys, std::string cluster) {
                                           take_held(keys, std::move(cluster));
                                         },
                                         [this](core::FailedReport failure) { fail(std::move(failure)); },
                                         [this] { take_loss(core::LossReason::expired); }});
}

void EtcdEngine::take(const core::MoreRequest& request) {
  if (held_.empty() || request.locks.empty()) {
    return observer_.report(core::FailedReport{ClusterFault::internal, {}, "`more` without a lock", {}});
  }
  plan_ = {place_.ns, request.locks, request.if_busy, begun_at_ + in_ns(request.timeout), patience()};
  begin_acquisition();
}

void EtcdEngine::take_waiting(core::WaitingReport report) {
  if (plan_.if_busy == core::IfBusy::wait) return observer_.report(std::move(report));
  withdraw([this, queue = std::move(report.queue)] { observer_.report(core::BusyReport{queue}); });
}

void EtcdEngine::take_held(const std::vector<core::HeldKey>& keys, std::string cluster) {
  acquisition_.reset();
  held_.insert(held_.end(), keys.begin(), keys.end());
  if (!watch_) watch_.emplace(*gateway_, [this](core::LossReason reason) { take_loss(reason); });
  watch_->watch(held_);
  const auto ttl = std::chrono::duration_cast<milliseconds>(lease_->ttl());
  observer_.report(core::HeldReport{keys, lease_text(lease_->id()), std::move(cluster), ttl, caveat_});
}

void EtcdEngine::take(const core::AdoptRequest& request) {
  const auto lease = parse_lease(request.lease);
  if (!lease || request.keys.empty()) {
    return observer_.report(core::FailedReport{ClusterFault::internal, {}, "there is nothing to adopt", {}});
  }
  if (!open(request.place)) return;
  is_adopting_ = true;
  lease_.emplace(*gateway_, lease_events());
  lease_->adopt(*lease, request.ttl);
  for (const core::HeldKey& key : request.keys) lease_->add(key.key, key.token);
  held_ = request.keys;
  lease_->confirm([this, keys = request.keys](const Header& header) {
    is_adopting_ = false;
    held_.clear();
    take_held(keys, header.cluster);
  });
}

// A lock that was waited for is waited for again, at the end of the queue.
void EtcdEngine::take_loss(core::LossReason reason) {
  if (!held_.empty()) return observer_.report(core::LostReport{reason, {}});
  if (reason != core::LossReason::asked) queue_again();
}

void EtcdEngine::queue_again() {
  const std::uint64_t old = lease_->id();
  plan_.give_up_at = std::max(plan_.give_up_at, boot_clock_now() + in_ns(patience()));
  acquisition_.reset();
  lease_->stop_renewing();
  revoke(old, [this](bool) { begin_lease(); });
}

void EtcdEngine::fail(core::FailedReport failure) {
  const auto keys = acquisition_ ? acquisition_->keys() : std::vector<core::HeldKey>();
  forget_requests();
  if (lease_ && held_.empty()) lease_->stop_renewing();
  if (!held_.empty()) remove_keys(keys, [] {});
  observer_.report(std::move(failure));
}

void EtcdEngine::inquire(const core::ClusterPlace& place, const std::vector<core::ClusterLock>& locks,
                         core::IfBusy if_busy) {
  if (locks.empty()) return observer_.report(core::FreeReport{});
  if (!open(place)) return;
  inquiry_.emplace(*gateway_, place, locks, if_busy, [this](core::KeeperReport report) {
    if (!std::holds_alternative<core::WaitingReport>(report)) inquiry_.reset();
    observer_.report(std::move(report));
  });
}

void EtcdEngine::take(const core::ProbeRequest& request) {
  inquire(request.place, request.locks, core::IfBusy::give_up);
}

void EtcdEngine::take(const core::WaitRequest& request) { inquire(request.place, request.locks, core::IfBusy::wait); }

void EtcdEngine::take(const core::ListRequest& request) {
  if (!open(request.place)) return;
  listing_.emplace(*gateway_, request.place, request.locks, [this](core::KeeperReport report) {
    const auto* const listed = std::get_if<core::ListedReport>(&report);
    if (listed == nullptr || listed->is_last) listing_.reset();
    observer_.report(std::move(report));
  });
}

void EtcdEngine::take(const core::BreakRequest& request) {
  if (!open(request.place)) return;
  breaking_.emplace(*gateway_, request.place, request.key, [this](core::KeeperReport report) {
    breaking_.reset();
    observer_.report(std::move(report));
  });
}

// What has no answer yet gets none from now on.
void EtcdEngine::forget_requests() {
  inquiry_.reset();
  listing_.reset();
  breaking_.reset();
  acquisition_.reset();
  call_.reset();
}

nanoseconds EtcdEngine::patience() const { return std::max<nanoseconds>(least_patience, ttl_); }

Due EtcdEngine::silence_due() const {
  const bool is_waiting = (acquisition_ && acquisition_->is_waiting()) || (inquiry_ && inquiry_->is_waiting());
  if (!is_waiting) return std::nullopt;
  return std::max(begun_at_, gateway_->last_answer()) + in_ns(patience());
}

void EtcdEngine::fail_after_silence(std::uint64_t now) {
  if (is_due(silence_due(), now)) fail({ClusterFault::unreachable, {}, trouble(), {}});
}

Due EtcdEngine::due() const {
  if (!gateway_) return std::nullopt;
  Due first = earlier(gateway_->due(), silence_due());
  if (lease_) first = earlier(first, lease_->due());
  if (watch_) first = earlier(first, watch_->due());
  if (acquisition_) first = earlier(first, acquisition_->due());
  if (breaking_) first = earlier(first, breaking_->due());
  return inquiry_ ? earlier(first, inquiry_->due()) : first;
}

void EtcdEngine::advance() {
  http_.advance();
  if (!gateway_) return;
  const std::uint64_t now = boot_clock_now();
  fail_after_silence(now);
  if (lease_) lease_->advance(now);
  if (watch_) watch_->advance(now);
  if (acquisition_) acquisition_->advance(now);
  if (inquiry_) inquiry_->advance(now);
  if (breaking_) breaking_->advance(now);
  gateway_->advance();
}

}  // namespace grex::etcd
