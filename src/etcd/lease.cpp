#include "etcd/lease.hpp"

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/call_last.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr milliseconds before_next_try(200);
constexpr std::size_t keys_in_read = 100;  // etcd allows 128 operations in a transaction

}  // namespace

void Lease::grant(milliseconds ttl, std::uint64_t give_up_at, std::function<void()> granted) {
  const auto whole = std::chrono::ceil<seconds>(ttl);
  round_ = gateway_.call({"/v3/lease/grant", grant_body(whole), request_timeout, give_up_at},
                         [this, granted = std::move(granted)](const GatewayAnswer& answer) {
                           const auto lease = answer.failure ? std::nullopt : parse_granted(answer.body);
                           round_.reset();
                           if (!lease) return call_last(events_.failed, failure_of(answer));
                           id_ = lease->lease;
                           ttl_ = lease->ttl;
                           renew_at_ = answer.sent_at + in_ns(ttl_ / 3);
                           events_.renewed(answer.sent_at + in_ns(ttl_), ttl_);
                           granted();
                         });
}

void Lease::adopt(std::uint64_t id, milliseconds ttl) {
  id_ = id;
  ttl_ = ttl;
  renew_at_ = boot_clock_now();
}

void Lease::add(std::string key, std::uint64_t create_revision) {
  remove(key);
  keys_.push_back({std::move(key), create_revision});
}

void Lease::remove(const std::string& key) {
  std::erase_if(keys_, [&key](const core::HeldKey& held) { return held.key == key; });
}

// A round that began before can't confirm what was asked for later.
void Lease::confirm(std::function<void(const Header&)> confirmed) {
  confirmed_ = std::move(confirmed);
  must_repeat_ = round_ != nullptr;
  renew_at_ = boot_clock_now();
}

void Lease::stop_renewing() {
  renew_at_ = std::nullopt;
  confirmed_ = nullptr;
  round_.reset();
}

void Lease::advance(std::uint64_t now) {
  if (!round_ && is_due(renew_at_, now)) begin_round();
}

void Lease::begin_round() {
  must_repeat_ = false;
  const auto timeout = std::chrono::duration_cast<milliseconds>(ttl_ / 10);
  const std::uint64_t give_up_at = boot_clock_now() + in_ns(ttl_);
  round_ = gateway_.call({"/v3/lease/keepalive", lease_body(id_), timeout, give_up_at},
                         [this](const GatewayAnswer& answer) { take_renewal(answer); });
}

void Lease::take_renewal(const GatewayAnswer& answer) {
  const bool is_gone = answer.error && answer.error->code == grpc_not_found;
  const auto renewed = answer.failure || answer.error ? std::nullopt : parse_renewed(answer.body);
  if (is_gone || (renewed && renewed->ttl <= seconds(0))) return lose(core::LossReason::expired, {});
  if (!renewed) return try_again(answer);
  sent_at_ = answer.sent_at;
  renewed_ = renewed->header;
  new_ttl_ = renewed->ttl;
  unread_ = keys_;
  if (unread_.empty()) return end_round(renewed_);
  read_keys();
}

void Lease::read_keys() {
  const std::size_t rest = unread_.size() - std::min(unread_.size(), keys_in_read);
  const std::vector<core::HeldKey> asked(unread_.begin() + static_cast<std::ptrdiff_t>(rest), unread_.end());
  unread_.resize(rest);
  std::vector<std::string> keys;
  keys.reserve(asked.size());
  for (const core::HeldKey& key : asked) keys.push_back(key.key);
  const auto timeout = std::chrono::duration_cast<milliseconds>(ttl_ / 10);
  round_ = gateway_.call({"/v3/kv/txn", read_all_body(keys), timeout, sent_at_ + in_ns(ttl_)},
                         [this, asked](const GatewayAnswer& answer) { take_keys(asked, answer); });
}

void Lease::take_keys(const std::vector<core::HeldKey>& asked, const GatewayAnswer& answer) {
  const auto found = answer.failure || answer.error ? std::nullopt : parse_read_all(answer.body);
  // A leader of the past may answer keepalives, but no longer this read.
  if (!found || found->header.raft_term != renewed_.raft_term) return try_again(answer);
  if (find_losses(asked, *found)) return;
  if (!unread_.empty()) return read_keys();
  end_round(found->header);
}

// Whether the lease is renewed no more. A key that was removed in the meantime is not missed.
bool Lease::find_losses(const std::vector<core::HeldKey>& asked, const Range& found) {
  std::string asked_for;
  for (const core::HeldKey& held : asked) {
    const auto is_it = [&held](const auto& each) { return each.key == held.key; };
    if (std::none_of(keys_.begin(), keys_.end(), is_it)) continue;
    const auto kv = std::find_if(found.kvs.begin(), found.kvs.end(), is_it);
    if (kv == found.kvs.end() || kv->create_revision != held.token) {
      lose(core::LossReason::deleted, held.key);
      return true;
    }
    if (has_break_mark(kv->value)) asked_for = held.key;
  }
  if (!asked_for.empty()) events_.lost(core::LossReason::asked, asked_for);
  return false;
}

void Lease::end_round(const Header& header) {
  round_.reset();
  ttl_ = new_ttl_;
  renew_at_ = must_repeat_ ? boot_clock_now() : sent_at_ + in_ns(ttl_ / 3);
  events_.renewed(sent_at_ + in_ns(ttl_), ttl_);
  if (must_repeat_ || !confirmed_) return;
  const auto confirmed = std::exchange(confirmed_, nullptr);
  confirmed(header);
}

void Lease::try_again(const GatewayAnswer& answer) {
  round_.reset();
  renew_at_ = boot_clock_now() + in_ns(before_next_try);
  if (answer.failure && answer.failure->kind != core::ClusterFault::unreachable) {
    call_last(events_.failed, core::FailedReport(*answer.failure));
  }
}

void Lease::lose(core::LossReason reason, const std::string& key) {
  stop_renewing();
  call_last(events_.lost, reason, std::string(key));
}

}  // namespace grex::etcd
