#include "cli/commands/status_cluster.hpp"

#include <algorithm>
#include <utility>

#include "cli/locking/cluster_names.hpp"
#include "cli/report/cluster_failure.hpp"
#include "cli/report/printable.hpp"
#include "core/cluster/lock_name.hpp"
#include "sys/file/file.hpp"

namespace grex::cli {
namespace {

using Name = ClusterStatus::Name;

core::LockReport empty_report(const Name& name, const std::string& ns, core::LockState state) {
  core::LockReport report;
  report.tier = name.first;
  report.path = name.second;
  report.cluster = core::ClusterSpot{ns, {}, {}};
  report.merged.evidence = core::Evidence::cluster;
  report.merged.state = state;
  return report;
}

void add(const core::ListedLock& listed, core::LockReport& report) {
  core::LockProcess process = process_in_cluster(listed.lock.value);
  process.mode = listed.lock.mode;
  process.seat = core::ClusterSeat{listed.key.token, listed.position, listed.lease_left};
  core::FileReport& merged = report.merged;
  if (listed.position > 0) {
    process.role = core::Role::waiter;
    merged.waiters.push_back(std::move(process));
    return;
  }
  merged.state = core::LockState::held;
  merged.mode = listed.lock.mode;
  merged.record = core::RecordState::valid;
  merged.holders.push_back(std::move(process));
  ++report.used;
}

bool is_before(const core::LockProcess& a, const core::LockProcess& b) { return a.seat->position < b.seat->position; }

}  // namespace

ClusterStatus::Reports ClusterStatus::wanted(const std::vector<core::LockReport>& local) const {
  const std::string& ns = chosen_.settings.ns;
  Reports reports;
  const auto want = [&](const Name& name, bool is_absent) {
    const core::LockState state = is_absent ? core::LockState::absent : core::LockState::free;
    reports.try_emplace(name, empty_report(name, ns, state));
  };
  if (name_) {
    for (const core::Tier tier : core::all_tiers) want({tier, *name_}, tier != core::Tier::per_pack);
  }
  for (const core::LockReport& lock : local) {
    if (name_ || chosen_.root.empty() || lock.target.empty()) continue;
    const bool is_absent = lock.merged.state == core::LockState::absent && lock.tier != core::Tier::per_pack;
    if (const auto name = core::lock_name_of(lock.target, chosen_.root)) want({lock.tier, *name}, is_absent);
  }
  return reports;
}

std::optional<Failure> ClusterStatus::find_unnamed(const std::vector<std::string>& paths, bool is_recursive) const {
  if (!needs_paths()) return std::nullopt;
  for (const std::string& path : paths) {
    const auto directory = sys::open_directory(path);
    if (!directory) continue;
    auto name = cluster_name_of(directory->path, chosen_.root);
    const bool has_root = is_recursive && core::lock_name_of(chosen_.root, directory->path);
    if (!name && !has_root) return std::move(name.error());
  }
  return std::nullopt;
}

void ClusterStatus::take_failure(const Failure& failure, Reports& reports) {
  exit_code_ = failure.exit_code;
  const std::string trouble = failure.what + ": " + failure.path + (failure.path.empty() ? "" : ": ") + failure.why;
  if (reports.empty()) {
    remark_ = printable(trouble) + "\n";
    if (!failure.hint.empty()) remark_ += printable(failure.hint) + "\n";
  }
  for (auto& [name, report] : reports) {
    if (report.merged.state == core::LockState::absent) continue;
    report.merged.state = core::LockState::unknown;
    report.merged.why_unknown = Error{failure.kind, {}, {}, 0};
    report.cluster->trouble = trouble;
    report.cluster->hint = failure.hint;
  }
}

void ClusterStatus::take_locks(const std::vector<core::ListedLock>& listed, Reports& reports) {
  const std::string& ns = chosen_.settings.ns;
  for (const core::ListedLock& lock : listed) {
    const Name name = {lock.lock.tier, lock.lock.name};
    if (all_) reports.try_emplace(name, empty_report(name, ns, core::LockState::free));
    if (const auto found = reports.find(name); found != reports.end()) add(lock, found->second);
  }
  if (reports.empty()) remark_ = "no lock is held or waited for in etcd " + printable(ns) + "\n";
}

std::vector<core::LockReport> ClusterStatus::report_on(const std::vector<core::LockReport>& local) {
  Reports reports = wanted(local);
  if (reports.empty() && !all_) return {};
  // Many are faster to find among all.
  constexpr std::size_t most_asked = 32;
  std::vector<core::ClusterLock> asked;
  if (!all_ && reports.size() <= most_asked) {
    asked.reserve(reports.size());
    for (const auto& [name, report] : reports) asked.push_back({name.first, name.second, sys::Mode::exclusive, 0, {}});
  }
  exit_code_ = 0;
  remark_.clear();
  const auto listed = cluster_.list(asked);
  if (listed) {
    take_locks(*listed, reports);
  } else {
    take_failure(cluster_failure(listed.error(), chosen_.settings.url), reports);
  }
  std::vector<core::LockReport> all;
  all.reserve(reports.size());
  for (auto& [name, report] : reports) {
    std::stable_sort(report.merged.waiters.begin(), report.merged.waiters.end(), is_before);
    all.push_back(std::move(report));
  }
  return all;
}

}  // namespace grex::cli
