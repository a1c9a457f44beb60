#include "etcd/listing.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "base/boot_clock.hpp"
#include "core/cluster/lock_name.hpp"
#include "etcd/call_last.hpp"
#include "etcd/key.hpp"
#include "etcd/turn.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t page = 500;  // keys, of 4 KiB at most
constexpr std::size_t most_leases = 200;

using Group = std::vector<core::ListedLock>;

bool is_older(const core::ListedLock& a, const core::ListedLock& b) { return a.key.token < b.key.token; }

void number(Group& group) {
  std::sort(group.begin(), group.end(), is_older);
  std::vector<sys::Mode> modes;
  for (const core::ListedLock& listed : group) modes.push_back(listed.lock.mode);
  const std::size_t holders = count_holders(modes, group.front().lock.slots);
  for (std::size_t i = holders; i < group.size(); ++i) group[i].position = i - holders + 1;
}

}  // namespace

std::vector<core::ListedLock> listed_locks(std::vector<KeyValue> kvs) {
  std::map<std::tuple<int, std::string>, Group> groups;
  for (KeyValue& kv : kvs) {
    auto key = parse_key(kv.key);
    if (!key) continue;
    if (kv.value.size() > core::longest_lock_value) kv.value.clear();
    const unsigned slots = key->tier == core::Tier::semaphore ? slots_in(kv.value) : 0;
    core::ListedLock listed = {{key->tier, key->name, key->mode, slots, std::move(kv.value)},
                               {std::move(kv.key), kv.create_revision},
                               0,
                               std::nullopt};
    groups[{ordinal_of(key->tier), std::move(key->name)}].push_back(std::move(listed));
  }
  std::vector<core::ListedLock> all;
  for (auto& [lock, group] : groups) {
    number(group);
    std::move(group.begin(), group.end(), std::back_inserter(all));
  }
  return all;
}

Listing::Listing(Gateway& gateway, core::ClusterPlace place, const std::vector<core::ClusterLock>& locks,
                 std::function<void(core::KeeperReport)> report)
    : gateway_(gateway), place_(std::move(place)), report_(std::move(report)) {
  for (const core::ClusterLock& lock : locks) prefixes_.push_back(lock_prefix(place_.ns, lock.tier, lock.name));
  if (locks.empty()) prefixes_.push_back(namespace_prefix(place_.ns));
  std::sort(prefixes_.begin(), prefixes_.end());
  prefixes_.erase(std::unique(prefixes_.begin(), prefixes_.end()), prefixes_.end());
  from_ = prefixes_.back();
  read_next();
}

void Listing::call(const char* path, std::string body, Gateway::Done done) {
  const std::uint64_t give_up_at = boot_clock_now() + in_ns(place_.timeout);
  call_ = gateway_.call({path, std::move(body), request_timeout, give_up_at}, std::move(done));
}

void Listing::read_next() {
  RangeSpec range = {from_, range_end(prefixes_.back())};
  range.limit = page;
  call("/v3/kv/range", range_body(range), [this](const GatewayAnswer& answer) { take_page(answer); });
}

void Listing::take_page(const GatewayAnswer& answer) {
  call_.reset();
  auto found = answer.failure || answer.error ? std::nullopt : parse_range(answer.body);
  if (!found) return call_last(report_, core::KeeperReport(failure_of(answer)));
  const bool has_more = found->has_more && !found->kvs.empty();
  if (has_more) from_ = found->kvs.back().key + '\0';
  std::move(found->kvs.begin(), found->kvs.end(), std::back_inserter(kvs_));
  if (has_more) return read_next();
  prefixes_.pop_back();
  if (!prefixes_.empty()) {
    from_ = prefixes_.back();
    return read_next();
  }
  listed_ = listed_locks(std::move(kvs_));
  ask_next_lease();
}

// Of very many holders, the time that is left is not asked for.
void Listing::ask_next_lease() {
  while (next_lease_ < listed_.size() && listed_[next_lease_].position > 0) ++next_lease_;
  if (next_lease_ >= std::min(listed_.size(), most_leases)) return report_all();
  const auto key = parse_key(listed_[next_lease_].key.key);
  call("/v3/lease/timetolive", lease_body(key ? key->lease : 0), [this](const GatewayAnswer& answer) {
    call_.reset();
    const auto time = answer.failure || answer.error ? std::nullopt : parse_lease_time(answer.body);
    if (time && time->left.count() >= 0) listed_[next_lease_].lease_left = time->left;
    ++next_lease_;
    ask_next_lease();
  });
}

// As many as fit in each line; the records may be anything, and grow when they are escaped.
void Listing::report_all() {
  constexpr std::size_t room_for_others = 1024;
  core::ListedReport report;
  std::size_t size = room_for_others;
  for (core::ListedLock& listed : listed_) {
    const std::size_t more = core::to_line(core::KeeperReport(core::ListedReport{{listed}, true})).size();
    if (size + more > core::longest_keeper_line) {
      report.is_last = false;
      report_(std::exchange(report, {}));
      size = room_for_others;
    }
    size += more;
    report.locks.push_back(std::move(listed));
  }
  report.is_last = true;
  call_last(report_, core::KeeperReport(std::move(report)));
}

}  // namespace grex::etcd
