#include "etcd/acquisition.hpp"

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/call_last.hpp"
#include "etcd/key.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {
namespace {}  // namespace

Acquisition::Acquisition(Gateway& gateway, Lease& lease, AcquisitionPlan plan, AcquisitionEvents events)
    : gateway_(gateway), lease_(lease), plan_(std::move(plan)), events_(std::move(events)) {
  begin_next();
}

Acquisition::~Acquisition() { lease_.confirm_no_more(); }

// The first lock may be given up early; later, the wait for another one may have taken long.
std::uint64_t Acquisition::give_up_at() const {
  return next_ == 0 ? plan_.give_up_at : std::max(plan_.give_up_at, boot_clock_now() + in_ns(patience()));
}

std::chrono::nanoseconds Acquisition::patience() const {
  return plan_.if_busy == core::IfBusy::wait ? plan_.patience : std::chrono::nanoseconds(request_timeout);
}

// If the answer is lost, the same request finds the key that it has put.
void Acquisition::begin_next() {
  const core::ClusterLock& lock = plan_.locks[next_];
  const std::string key = to_text(LockKey{plan_.ns, lock.tier, lock.name, lock.mode, lease_.id()});
  keys_.push_back({key, 0});
  creating_ = gateway_.call({"/v3/kv/txn", create_body(key, lock.value, lease_.id()), request_timeout, give_up_at()},
                            [this](const GatewayAnswer& answer) { take_created(answer); });
}

void Acquisition::take_created(const GatewayAnswer& answer) {
  creating_.reset();
  if (answer.error && answer.error->code == grpc_not_found) return call_last(events_.lease_gone);
  const auto created = answer.failure || answer.error ? std::nullopt : parse_created(answer.body);
  if (!created) return call_last(events_.failed, failure_of(answer));
  core::HeldKey& key = keys_.back();
  key.token = created->kv.create_revision;
  cluster_ = created->header.cluster;
  lease_.add(key.key, key.token);
  turn_.emplace(gateway_, plan_.ns, plan_.locks[next_], key.token, Patience{patience(), patience()},
                TurnEvents{events_.waiting, [this] { take_turn(); }, events_.failed});
}

void Acquisition::take_turn() {
  if (!turn_->has_waited()) return finish_lock();
  lease_.confirm([this](const Header&) { finish_lock(); });
}

void Acquisition::finish_lock() {
  turn_.reset();
  if (++next_ < plan_.locks.size()) return begin_next();
  call_last(events_.held, std::vector<core::HeldKey>(keys_), std::string(cluster_));
}

void Acquisition::look() {
  if (is_waiting()) turn_->look();
}

void Acquisition::advance(std::uint64_t now) {
  if (turn_) turn_->advance(now);
}

}  // namespace grex::etcd
