#include "cli/commands/release_cluster.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/deadline.hpp"
#include "cli/commands/release_find.hpp"
#include "cli/locking/busy.hpp"
#include "cli/report/cluster_failure.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/printable.hpp"
#include "core/cluster/cluster.hpp"
#include "core/cluster/cluster_locks.hpp"
#include "core/inspect/liveness.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

Failure refusal(const ClusterTarget& target, std::string why, std::string hint = {}) {
  Failure failure = not_released(named_lock(target), std::move(why), ErrorKind::not_held);
  failure.hint = std::move(hint);
  return failure;
}

// The holders of a lock. If there is none, but the name is held at another tier, a hint says so.
struct Holders {
  std::vector<core::ListedLock> all;
  std::string hint;
};

Result<Holders, Failure> holders_of(core::Cluster& cluster, const ClusterTarget& target) {
  std::vector<core::ClusterLock> locks;
  locks.reserve(core::all_tiers.size());
  for (const core::Tier tier : core::all_tiers) locks.push_back({tier, target.name, sys::Mode::exclusive, 0, {}});
  auto listed = cluster.list(locks);
  if (!listed) return cluster_failure(listed.error(), target.settings.url);
  std::erase_if(*listed, [](const core::ListedLock& lock) { return lock.position != 0; });
  Holders holders;
  for (core::ListedLock& lock : *listed) {
    if (lock.lock.tier == target.tier) {
      holders.all.push_back(std::move(lock));
    } else {
      holders.hint = fmt::format("it is held at another tier: add -t {}", core::name_of(lock.lock.tier));
    }
  }
  return holders;
}

std::vector<core::LockProcess> processes_of(const std::vector<core::ListedLock>& holders) {
  std::vector<core::LockProcess> processes;
  processes.reserve(holders.size());
  for (const core::ListedLock& holder : holders) processes.push_back(process_in_cluster(holder.lock.value));
  return processes;
}

bool may_be_shared(const std::vector<core::ListedLock>& holders) {
  const core::ClusterLock& first = holders.front().lock;
  return holders.size() > 1 || first.mode == sys::Mode::shared || first.slots > 0;
}

// What to do about a holder that is no hold with this name on this machine.
std::string way_out_of(const std::vector<core::ListedLock>& holders, const core::LockProcess& first) {
  const bool is_here = first.host == sys::host_name();
  const auto value = core::parse_cluster_value(holders.front().lock.value);
  if (is_here && first.verb == "hold" && value && !value->record.path.empty()) {
    std::vector<std::string> words = {value->record.path};
    if (value->record.tier != core::Tier::per_pack) {
      words.insert(words.begin(), {"-t", std::string(core::name_of(value->record.tier))});
    }
    return "a hold of a PATH: " + own_line("release", std::move(words));
  }
  const std::string force =
      may_be_shared(holders) ? fmt::format("--force --token {}", holders.front().key.token) : "--force";
  return fmt::format("{}; to end {}: add {}",
                     is_here ? "it is no hold that you can end" : "run it where the holder runs",
                     holders.size() == 1 ? "the job" : "the first job", force);
}

// Which of the holders is meant; a Failure if that is not clear.
Result<core::ListedLock, Failure> choose(const ClusterTarget& target, const Holders& known,
                                         std::optional<std::uint64_t> token) {
  const std::vector<core::ListedLock>& holders = known.all;
  if (holders.empty()) return refusal(target, "no process holds it", known.hint);
  if (token) {
    const auto is_it = [&token](const core::ListedLock& holder) { return holder.key.token == *token; };
    const auto found = std::find_if(holders.begin(), holders.end(), is_it);
    if (found != holders.end()) return *found;
    Failure failure = refusal(target, fmt::format("no holder has the token {}", *token));
    failure.holders = processes_of(holders);
    return failure;
  }
  if (!may_be_shared(holders)) return holders.front();
  std::vector<std::string> choices;
  choices.reserve(holders.size());
  for (const core::ListedLock& holder : holders) {
    choices.push_back(fmt::format("--token {} ({})", holder.key.token,
                                  holder_text({process_in_cluster(holder.lock.value)}, utc_now(), Detail::brief)));
  }
  Failure failure =
      refusal(target, "several processes may hold it", fmt::format("choose one: {}", fmt::join(choices, ", ")));
  failure.holders = processes_of(holders);
  return failure;
}

}  // namespace

LockName named_lock(const ClusterTarget& target) {
  LockName name;
  name.tier = target.tier;
  name.path = target.name;
  return name;
}

Result<std::string, Failure> check_not_held(const ClusterTarget& target) {
  core::Cluster cluster(target.settings);
  const auto found = holders_of(cluster, target);
  if (!found) return found.error();
  if (found->all.empty()) return found->hint;
  const auto processes = processes_of(found->all);
  Failure failure =
      refusal(target, "held by " + holder_text(processes, utc_now()), way_out_of(found->all, processes.front()));
  failure.holders = processes;
  return failure;
}

std::optional<core::Hold> find_exported_hold(const ClusterTarget& target, const core::TierStack& stack) {
  const auto is_its = [&target](const core::StackEntry& entry) {
    return core::is_of_cluster_lock(entry, target.tier, target.settings.ns, target.name);
  };
  core::TierStack its;
  std::copy_if(stack.begin(), stack.end(), std::back_inserter(its), is_its);
  if (its.empty()) return std::nullopt;
  // The process is opened first, so that it is the one which is verified.
  auto hold = core::find_hold(its.back().pid, is_hold_command);
  const auto verified = core::verify({its.back()});
  const bool is_live = !verified.empty() && core::is_live(verified.front().liveness);
  return is_live ? std::move(hold) : std::nullopt;
}

Result<std::vector<core::Hold>, Failure> find_named_holds(const ClusterTarget& target) {
  core::Cluster cluster(target.settings);
  const auto holders = holders_of(cluster, target);
  if (!holders) return holders.error();
  const auto has_name = [&target](const std::vector<std::string>& words) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == "--name=" + target.name) return is_hold_command(words);
      if (words[i] == "--name" && i + 1 < words.size() && words[i + 1] == target.name) return is_hold_command(words);
    }
    return false;
  };
  std::vector<core::Hold> holds;
  for (const core::LockProcess& process : processes_of(holders->all)) {
    if (!process.pid || process.host != sys::host_name()) continue;
    if (auto hold = core::find_hold(*process.pid, has_name)) holds.push_back(std::move(*hold));
  }
  return holds;
}

Result<BrokenLock, Failure> break_lock(const ClusterTarget& target, std::optional<std::uint64_t> token,
                                       std::optional<std::chrono::nanoseconds> timeout,
                                       const std::function<void(const core::LockProcess& holder)>& asked) {
  const auto start = Deadline::clock::now();
  core::Cluster cluster(target.settings);
  const auto holders = holders_of(cluster, target);
  if (!holders) return holders.error();
  const auto chosen = choose(target, *holders, token);
  if (!chosen) return chosen.error();
  const core::LockProcess holder = process_in_cluster(chosen->lock.value);
  asked(holder);
  const auto broken = cluster.break_lock(chosen->key, timeout ? std::optional(start + *timeout) : std::nullopt);
  if (!broken) return cluster_failure(broken.error(), target.settings.url);
  if (broken->end.outcome == sys::Acquire::cancelled) {
    return cancelled_failure(named_lock(target), broken->end.signal, {});
  }
  if (!broken->report) {
    Failure failure = not_released(
        named_lock(target), "asked to end, but still there: " + holder_text({holder}, utc_now()), ErrorKind::timeout);
    failure.holders = {holder};
    failure.waited = elapsed_since(start);
    return failure;
  }
  if (!broken->report->ok) return no_longer_held(named_lock(target));
  return BrokenLock{chosen->key.token, broken->report->responded};
}

}  // namespace grex::cli
