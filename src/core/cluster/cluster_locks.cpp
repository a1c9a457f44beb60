#include "core/cluster/cluster_locks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

namespace grex::core {
namespace {

// The targets at a tier that want a lock of the cluster, in the order in which all processes take
// these.
std::vector<std::size_t> wanted_at(Tier tier, const std::vector<Target>& targets) {
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i].tier() == tier && targets[i].wants_cluster()) wanted.push_back(i);
  }
  std::sort(wanted.begin(), wanted.end(), [&targets](std::size_t a, std::size_t b) {
    return targets[a].request.cluster_name < targets[b].request.cluster_name;
  });
  return wanted;
}

}  // namespace

std::optional<ClusterValue> parse_cluster_value(std::string_view text) {
  auto record = parse_record(text);
  if (!record) return std::nullopt;
  const auto document = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto mode = document.find("mode");
  const bool has_mode = mode != document.end() && mode->is_string();
  return ClusterValue{std::move(*record), has_mode ? sys::mode_named(mode->get<std::string>()) : std::nullopt};
}

std::string cluster_value(const Record& record, sys::Mode mode, unsigned slots) {
  constexpr std::string_view end = "}\n";
  std::string value = to_line(record);
  value.resize(value.size() - end.size());
  fmt::format_to(std::back_inserter(value), R"(,"mode":"{}","slots":{}}})", sys::name_of(mode), slots);
  return value;
}

ClusterLock cluster_lock_of(const Target& target) {
  const unsigned slots = target.tier() == Tier::semaphore ? target.request.slots : 0;
  return {target.tier(), target.request.cluster_name, target.mode(), slots, {}};
}

Result<sys::WaitEnd> ClusterLocks::take(Tier tier, const std::vector<Target>& targets, const WaitPolicy& policy) {
  const std::vector<std::size_t> wanted = wanted_at(tier, targets);
  std::vector<ClusterLock> locks;
  for (const std::size_t i : wanted) {
    ClusterLock lock = cluster_lock_of(targets[i]);
    record_.tier = tier;
    record_.path = targets[i].path;
    lock.value = cluster_value(record_, lock.mode, lock.slots);
    locks.push_back(std::move(lock));
  }
  if (locks.empty()) return sys::WaitEnd{sys::Acquire::held};
  const auto end = cluster_.acquire(locks, {policy.waits, policy.deadline, &observer_});
  if (!end) {
    failure_ = end.error();
    const auto* const error = std::get_if<Error>(&end.error());
    const bool is_lost = error != nullptr && error->op == locks_lost;
    return Error{ErrorKind::unreachable, is_lost ? remote_lost : remote_failed, {}, ECANCELED};
  }
  end_ = *end;
  for (std::size_t i = 0; i < end->keys.size(); ++i) taken_[wanted[i]] = {locks[i].name, end->keys[i]};
  return end->end;
}

std::optional<ClusterEntry> ClusterLocks::entry_of(std::size_t target) const {
  const auto found = taken_.find(target);
  if (found == taken_.end()) return std::nullopt;
  const auto& [name, key] = found->second;
  return ClusterEntry{cluster_.id(), cluster_.settings().ns, name, key.key, key.token, cluster_.lease()};
}

void ClusterLocks::release() {
  taken_.clear();
  cluster_.disconnect();
}

}  // namespace grex::core
