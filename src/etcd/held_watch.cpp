#include "etcd/held_watch.hpp"

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "etcd/call_last.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds before_first(100);
constexpr milliseconds before_next(500);

}  // namespace

void HeldWatch::watch(std::vector<core::HeldKey> keys) {
  keys_ = std::move(keys);
  from_ = 0;
  for (const core::HeldKey& key : keys_) from_ = std::max(from_, key.token + 1);
  stream_.reset();
  open_at_ = boot_clock_now() + in_ns(before_first);
}

void HeldWatch::stop() {
  open_at_ = std::nullopt;
  stream_.reset();
}

void HeldWatch::advance(std::uint64_t now) {
  if (is_due(open_at_, now)) open();
}

// What is missed between two streams, the next renewal sees.
void HeldWatch::open() {
  open_at_ = std::nullopt;
  std::vector<WatchSpec> watches;
  for (const core::HeldKey& key : keys_) watches.push_back({key.key, {}, Puts::watched});
  stream_ = gateway_.stream(
      "/v3/watch", watch_body(watches, std::exchange(from_, 0)), [this](std::string_view line) { take_line(line); },
      [this] { open_at_ = boot_clock_now() + in_ns(before_next); });
}

void HeldWatch::take_line(std::string_view line) {
  const auto message = parse_watch_message(line);
  if (!message || message->has_ended) {
    open_at_ = boot_clock_now() + in_ns(before_next);
    stream_.reset();
    return;
  }
  for (const WatchEvent& event : message->events) {
    const auto is_it = [&event](const core::HeldKey& key) { return key.key == event.kv.key; };
    if (std::none_of(keys_.begin(), keys_.end(), is_it)) continue;
    if (event.is_delete) return call_last(lost_, core::LossReason::deleted);
    if (has_break_mark(event.kv.value)) return call_last(lost_, core::LossReason::asked);
  }
}

}  // namespace grex::etcd
