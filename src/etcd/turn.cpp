#include "etcd/turn.hpp"

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/call_last.hpp"
#include "etcd/key.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds before_next_watch(200);
constexpr std::uint64_t most_reported = 8;

}  // namespace

std::size_t count_holders(const std::vector<sys::Mode>& queue, unsigned slots) {
  if (queue.empty()) return 0;
  if (slots > 0) return std::min<std::size_t>(queue.size(), slots);
  if (queue.front() == sys::Mode::exclusive) return 1;
  return static_cast<std::size_t>(std::find(queue.begin(), queue.end(), sys::Mode::exclusive) - queue.begin());
}

Turn::Turn(Gateway& gateway, std::string_view ns, const core::ClusterLock& lock, std::uint64_t before,
           Patience patience, TurnEvents events)
    : gateway_(gateway),
      lock_(lock),
      prefix_(lock_prefix(ns, lock.tier, lock.name)),
      before_(before),
      patience_(patience),
      events_(std::move(events)) {
  look();
}

std::uint64_t Turn::give_up_at() const {
  return boot_clock_now() + in_ns(has_waited_ ? patience_.while_waiting : patience_.at_first);
}

// What keeps the lock from being taken: of slots, only the number matters.
RangeSpec Turn::ahead() const {
  RangeSpec range;
  range.key = lock_.mode == sys::Mode::shared ? mode_prefix(prefix_, sys::Mode::exclusive) : prefix_;
  range.end = range_end(range.key);
  range.max_create_revision = before_ > 0 ? before_ - 1 : 0;
  range.order = RangeOrder::newest_first;
  range.keys_only = true;
  if (lock_.slots == 0) range.limit = 1;
  return range;
}

void Turn::look() {
  look_at_ = std::nullopt;
  if (looking_) return;
  looking_ = gateway_.call({"/v3/kv/range", range_body(ahead()), request_timeout, give_up_at()},
                           [this](const GatewayAnswer& answer) { take_ahead(answer); });
}

void Turn::take_ahead(const GatewayAnswer& answer) {
  looking_.reset();
  const auto found = answer.failure || answer.error ? std::nullopt : parse_range(answer.body);
  if (!found) return call_last(events_.failed, failure_of(answer));
  if (before_ == 0) before_ = found->header.revision + 1;
  const std::size_t allowed = lock_.slots > 0 ? lock_.slots - 1 : 0;
  if (found->kvs.size() <= allowed) {
    watching_.reset();
    return call_last(events_.arrived);
  }
  has_waited_ = true;
  watch(lock_.slots > 0 ? prefix_ : found->kvs.front().key, found->header.revision + 1);
  report_queue();
}

void Turn::watch(const std::string& key, std::uint64_t revision) {
  if (watching_ && watched_ == key) return;
  watched_ = key;
  WatchSpec spec = {key, lock_.slots > 0 ? range_end(key) : std::string(), Puts::ignored};
  watching_ = gateway_.stream(
      "/v3/watch", watch_body({&spec, 1}, revision), [this](std::string_view line) { take_line(line); },
      [this] {
        watched_.clear();
        look_at_ = boot_clock_now() + in_ns(before_next_watch);
      });
}

// After compaction, an error, or anything strange, looking helps.
void Turn::take_line(std::string_view line) {
  const auto message = parse_watch_message(line);
  const bool is_quiet = message && !message->has_ended && message->events.empty();
  if (is_quiet) return;
  const bool has_event = message && !message->events.empty();
  const bool is_over = !has_event;
  if (is_over || lock_.slots == 0) watched_.clear();
  look_at_ = boot_clock_now() + (is_over ? in_ns(before_next_watch) : 0);
}

void Turn::report_queue() {
  if (reporting_) return;
  RangeSpec range = ahead();
  range.key = prefix_;
  range.end = range_end(prefix_);
  range.order = RangeOrder::oldest_first;
  range.limit = most_reported;
  range.keys_only = false;
  reporting_ = gateway_.call({"/v3/kv/range", range_body(range), request_timeout, give_up_at()},
                             [this](const GatewayAnswer& answer) { take_queue(answer); });
}

void Turn::take_queue(const GatewayAnswer& answer) {
  reporting_.reset();
  const auto found = answer.failure || answer.error ? std::nullopt : parse_range(answer.body);
  if (!found || found->kvs.empty()) return;  // the next look shows why
  report_ = {{lock_.tier, lock_.name, {}}, 1};
  modes_.clear();
  for (const KeyValue& kv : found->kvs) {
    const auto key = parse_key(kv.key);
    modes_.push_back(key ? key->mode : sys::Mode::exclusive);
    report_.queue.ahead.push_back(kv.value.size() <= core::longest_lock_value ? kv.value : std::string());
  }
  if (!found->has_more) return report(found->kvs.size());
  RangeSpec range = ahead();
  range.key = prefix_;
  range.end = range_end(prefix_);
  range.limit = 0;
  reporting_ = gateway_.call({"/v3/kv/range", range_body(range), request_timeout, give_up_at()},
                             [this](const GatewayAnswer& counted) { take_count(counted); });
}

void Turn::take_count(const GatewayAnswer& answer) {
  reporting_.reset();
  const auto found = answer.failure || answer.error ? std::nullopt : parse_range(answer.body);
  if (found) report(found->kvs.size());
}

// Sharers wait for exclusive keys only, so sharers ahead of them need not be holders.
void Turn::report(std::uint64_t ahead) {
  const std::size_t holders = count_holders(modes_, lock_.slots);
  report_.position = ahead > holders ? ahead - holders + 1 : 1;
  report_.queue.ahead.resize(holders);
  std::string all = std::to_string(report_.position);
  for (const std::string& value : report_.queue.ahead) all += '\n' + value;
  if (std::exchange(reported_, all) != all) call_last(events_.waiting, core::WaitingReport(report_));
}

void Turn::advance(std::uint64_t now) {
  if (is_due(look_at_, now)) look();
}

}  // namespace grex::etcd
