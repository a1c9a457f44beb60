#include "etcd/breaking.hpp"

#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/call_last.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds between_looks(5);

}  // namespace

Breaking::Breaking(Gateway& gateway, core::ClusterPlace place, core::HeldKey key,
                   std::function<void(core::KeeperReport)> report)
    : gateway_(gateway), place_(std::move(place)), key_(std::move(key)), report_(std::move(report)) {
  read();
}

void Breaking::call(const char* path, std::string body, Gateway::Done done) {
  const std::uint64_t give_up_at = boot_clock_now() + in_ns(place_.timeout);
  call_ = gateway_.call({path, std::move(body), request_timeout, give_up_at}, std::move(done));
}

bool Breaking::is_answer(const GatewayAnswer& answer) {
  call_.reset();
  if (!answer.failure && !answer.error) return true;
  call_last(report_, core::KeeperReport(failure_of(answer)));
  return false;
}

// First for its value, then to see whether it is gone.
void Breaking::read() {
  call("/v3/kv/range", range_body({key_.key}), [this](const GatewayAnswer& answer) { take_value(answer); });
}

void Breaking::take_value(const GatewayAnswer& answer) {
  if (!is_answer(answer)) return;
  const auto found = parse_range(answer.body);
  const bool is_there = found && !found->kvs.empty() && found->kvs.front().create_revision == key_.token;
  if (found && !is_there) return end(is_marked_);
  if (!found) return look_again();
  const KeyValue& kv = found->kvs.front();
  return is_marked_ ? ask_lease_time(kv.lease) : mark(kv);
}

void Breaking::mark(const KeyValue& kv) {
  call("/v3/kv/txn", replace_body(key_.key, key_.token, with_break_mark(kv.value)),
       [this, lease = kv.lease](const GatewayAnswer& answer) {
         if (!is_answer(answer)) return;
         const auto changed = parse_changed(answer.body);
         if (!changed || !changed->is_changed) return end(false);
         is_marked_ = true;
         if (lease == 0) return remove();  // no grex-lock has written it, and it would stay forever
         ask_lease_time(lease);
       });
}

void Breaking::ask_lease_time(std::uint64_t lease) {
  call("/v3/lease/timetolive", lease_body(lease), [this](const GatewayAnswer& answer) {
    constexpr seconds longest_lease(600);
    call_.reset();
    const auto time = answer.failure || answer.error ? std::nullopt : parse_lease_time(answer.body);
    const std::uint64_t now = boot_clock_now();
    if (time && time->left >= seconds(0)) lease_ends_at_ = now + in_ns(time->left);  // it is still there
    if (!delete_at_) delete_at_ = now + in_ns(time && time->granted > seconds(0) ? time->granted : longest_lease);
    if (!watching_) watch();
  });
}

// The watch begins now, so look once it has.
void Breaking::watch() {
  const WatchSpec spec = {key_.key, {}, Puts::ignored};
  watching_ = gateway_.stream(
      "/v3/watch", watch_body({&spec, 1}, 0), [this](std::string_view) { look_at_ = boot_clock_now(); },
      [this] { watching_.reset(); });
  look_at_ = boot_clock_now() + in_ns(between_looks);
}

void Breaking::look_again() { look_at_ = boot_clock_now() + in_ns(between_looks); }

void Breaking::remove() {
  call("/v3/kv/txn", delete_body(key_.key, key_.token), [this](const GatewayAnswer& answer) {
    if (!is_answer(answer)) return;
    const auto changed = parse_changed(answer.body);
    call_last(report_, core::KeeperReport(core::ReleasedReport{true, !(changed && changed->is_changed)}));
  });
}

// A holder that works renews its lease long before it ends.
void Breaking::end(bool ok) {
  const bool responded = !is_due(lease_ends_at_, boot_clock_now());
  call_last(report_, core::KeeperReport(core::ReleasedReport{ok, responded}));
}

void Breaking::advance(std::uint64_t now) {
  if (call_) return;
  if (is_due(delete_at_, now)) {
    delete_at_ = look_at_ = std::nullopt;
    return remove();
  }
  if (!is_due(look_at_, now)) return;
  look_again();
  read();
}

}  // namespace grex::etcd
