#include "core/inspect/report.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <map>
#include <span>
#include <utility>

#include "core/inspect/kernel_view.hpp"
#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

// The lower, the more it says about a lock that has a file in this state.
int rank_of(LockState state) {
  switch (state) {
    case LockState::lost:
      return 0;
    case LockState::held:
      return 1;
    case LockState::unknown:
      return 2;
    case LockState::free:
      return 3;
    case LockState::absent:
      break;
  }
  return 4;
}

// A process that has one file and waits for the next does not hold the lock.
void remove_waiters(std::vector<LockProcess>& holders, std::vector<LockProcess>& waiters) {
  std::erase_if(holders, [&waiters](const LockProcess& holder) {
    const auto waiter = std::find_if(waiters.begin(), waiters.end(), [&holder](const LockProcess& other) {
      return holder.pid && other.pid == holder.pid && other.file != holder.file;
    });
    if (waiter == waiters.end()) return false;
    waiter->more_files = {holder.file};
    waiter->more_files.insert(waiter->more_files.end(), holder.more_files.begin(), holder.more_files.end());
    return true;
  });
}

RecordState better(RecordState a, RecordState b) {
  if (a == RecordState::valid || b == RecordState::valid) return RecordState::valid;
  return a == RecordState::stale ? a : b;
}

// Keeps the one that released later.
void keep_last(std::shared_ptr<LastHolder>& last, std::shared_ptr<LastHolder> other) {
  if (other && (!last || last->release.time < other->release.time)) last = std::move(other);
}

// Merges the reports on the files of a lock.
void merge(const FoundLock& lock, std::span<FileReport> files, LockReport& report) {
  FileReport& merged = report.merged;
  merged.state = lock.why_incomplete ? LockState::unknown : LockState::absent;
  bool is_first = true;
  for (std::size_t i = 0; i < files.size(); ++i) {
    FileReport& file = files[i];
    const FoundFile& found = lock.files[i];
    const std::string path = found.file.name.path();
    report.files.push_back({path, found.layout, file.state});
    add_processes(merged.waiters, std::move(file.waiters), path, found.slot);
    merged.is_list_cut = merged.is_list_cut || file.is_list_cut;
    const bool is_queue = lock.tier == Tier::semaphore && !found.slot;
    if (is_queue) continue;
    const bool says_more = is_first || rank_of(file.state) < rank_of(merged.state);
    const bool shows_lease = says_more || (file.state == LockState::free && !merged.lease);
    if (shows_lease) merged.lease = std::move(file.lease);
    if (says_more) {
      report.path = path;
      merged.evidence = file.evidence;
      merged.file = file.file;
      merged.why_unknown = lock.why_incomplete ? lock.why_incomplete : file.why_unknown;
      if (!lock.why_incomplete || is_in_use(file.state)) merged.state = file.state;
    }
    is_first = false;
    merged.record = better(merged.record, file.record);
    keep_last(merged.last, std::move(file.last));
    if (!is_in_use(file.state)) continue;
    if (merged.mode != sys::Mode::exclusive) merged.mode = file.mode;
    if (found.slot && file.state == LockState::held) ++report.used;
    const auto& lost = found.file.lost;
    add_processes(merged.holders, std::move(file.holders), lost && !lost->moved_to.empty() ? lost->moved_to : path,
                  found.slot);
  }
  remove_waiters(merged.holders, merged.waiters);
  // The path must be that of a file which the first holder has.
  const bool is_named = lock.tier == Tier::semaphore || merged.state == LockState::lost;
  if (!merged.holders.empty() && !is_named) report.path = merged.holders.front().file;
}

// A lock, and what its files show, in their order.
struct InspectedLock {
  FoundLock lock;
  std::vector<FileReport> files;
};

std::vector<WantedLock> wanted_locks(const std::vector<FoundLock>& locks) {
  std::vector<WantedLock> wanted;
  wanted.reserve(locks.size());
  for (const FoundLock& lock : locks) {
    WantedLock& one = wanted.emplace_back(WantedLock{lock.tier, lock.target, {}, lock.is_old});
    for (const FoundFile& found : lock.files) one.layouts.push_back(found.layout);
  }
  return wanted;
}

// The lock that has a file with this place; if it is not among them, it is added in the order
// of targets.
InspectedLock& lock_with(std::vector<InspectedLock>& locks, const LockPlace& place, const std::string& path) {
  const auto is_its = [&place](const InspectedLock& other) {
    const FoundLock& lock = other.lock;
    return lock.tier == place.tier && lock.target == place.target && lock.is_old == place.is_old;
  };
  const auto found = std::find_if(locks.begin(), locks.end(), is_its);
  if (found != locks.end()) return *found;
  const auto comes_after = [&place](const InspectedLock& other) {
    return std::pair(std::string_view(place.target), ordinal_of(place.tier)) <
           std::pair(std::string_view(other.lock.target), ordinal_of(other.lock.tier));
  };
  FoundLock lock{place.tier, place.target, path, {}};
  lock.is_old = place.is_old;
  const auto next = std::find_if(locks.begin(), locks.end(), comes_after);
  return *locks.insert(next, InspectedLock{std::move(lock), {}});
}

// Adds the files that are still lost to their locks.
void add_lost(std::vector<InspectedLock>& locks, std::vector<FoundLost> lost, std::vector<FileReport> reports) {
  for (std::size_t i = 0; i < lost.size(); ++i) {
    if (reports[i].state != LockState::lost) continue;
    const LockPlace& place = lost[i].place;
    FileToInspect& file = lost[i].file;
    InspectedLock& lock = lock_with(locks, place, file.name.path());
    std::vector<FoundFile>& files = lock.lock.files;
    const auto next = std::find_if(files.begin(), files.end(), [&place](const FoundFile& other) {
      return !other.file.lost || std::pair(place.layout, place.slot) < std::pair(other.layout, other.slot);
    });
    lock.files.insert(lock.files.begin() + (next - files.begin()), std::move(reports[i]));
    files.insert(next, FoundFile{std::move(file), place.layout, place.slot});
  }
}

bool was_looked_up(const FoundLock& lock) {
  return std::none_of(lock.files.begin(), lock.files.end(),
                      [](const FoundFile& found) { return found.file.may_never_answer; });
}

// A device has one file system, so that is looked up once for consecutive locks on it.
void find_file_system(LockReport& report, bool may_look_up, const std::vector<LockReport>& before,
                      const std::vector<Mount>& mounts) {
  const auto device_of = [](const FileReport& file) {
    return file.file ? std::optional(file.file->id.dev) : std::nullopt;
  };
  const auto device = device_of(report.merged);
  if (!before.empty() && device && device == device_of(before.back().merged)) {
    report.file_system = before.back().file_system;
  } else if (!may_look_up) {
    if (device) report.file_system = file_system_at({{}, *device}, mounts);
  } else if (const auto place = sys::place_of(report.path)) {
    report.file_system = file_system_at(*place, mounts);
  }
}

// Adds the processes in front of the gates of locks that a process waits for; of gates that
// belong to another layout, none.
void add_waiters_at_gates(const std::vector<InspectedLock>& locks, std::vector<LockReport>& reports,
                          const std::vector<Mount>& mounts, const HolderSearch& search) {
  std::vector<FileToInspect> gates;
  std::vector<LockReport*> waited_for;
  for (std::size_t i = 0; i < locks.size(); ++i) {
    const FoundLock& lock = locks[i].lock;
    const bool may_have_gate = lock.tier != Tier::semaphore && !lock.is_old && was_looked_up(lock);
    if (!may_have_gate || reports[i].merged.waiters.empty()) continue;
    gates.push_back({lock.files.back().file.name});
    gates.back().name.name = gate_name(gates.back().name.name);
    waited_for.push_back(&reports[i]);
  }
  if (gates.empty()) return;
  std::vector<FileReport> inspected = inspect(gates, mounts, {HolderSearch::Extent::acquirers, search.should_stop});
  for (std::size_t i = 0; i < gates.size(); ++i) {
    add_processes(waited_for[i]->merged.waiters, std::move(inspected[i].waiters), gates[i].name.path());
  }
}

// Of a process that is alive, and has this lock: so it is one process, whatever had its number.
bool is_seen_alive(const LockProcess& process) { return process.pid && process.alive == true; }

// A guard is a shared lock, so it has no record. That of another lock which its process holds
// says since when, and what for.
void describe_guards(std::vector<LockReport>& reports) {
  std::map<pid_t, const LockProcess*> recorded;
  for (const LockReport& report : reports) {
    if (report.merged.record != RecordState::valid) continue;
    for (const LockProcess& holder : report.merged.holders) {
      if (is_seen_alive(holder) && holder.since) recorded.emplace(*holder.pid, &holder);
    }
  }
  if (recorded.empty()) return;
  for (LockReport& report : reports) {
    if (report.tier != Tier::workspace_sync) continue;
    for (LockProcess& holder : report.merged.holders) {
      if (holder.mode != sys::Mode::shared || holder.since || !is_seen_alive(holder)) continue;
      const auto found = recorded.find(*holder.pid);
      if (found == recorded.end()) continue;
      holder.since = found->second->since;
      holder.note = found->second->note;
    }
  }
}

}  // namespace

std::vector<LockReport> report_on(std::vector<FoundLock> locks, unsigned slots, FileSystems file_systems,
                                  const LostScope& lost_scope, const HolderSearch& search) {
  std::vector<FileToInspect> files;
  files.reserve(locks.size());
  for (const FoundLock& lock : locks) {
    for (const FoundFile& found : lock.files) files.push_back(found.file);
  }
  const std::vector<Mount> mounts = visible_mounts();
  const KernelView view = KernelView::take(mounts, search.should_stop);
  std::vector<FileReport> inspected = inspect(files, view, mounts, search);
  std::vector<FoundLost> lost =
      find_lost(wanted_locks(locks), files, inspected, view, mounts, lost_scope, search.should_stop);

  std::vector<InspectedLock> inspected_locks;
  inspected_locks.reserve(locks.size());
  auto next_file = std::make_move_iterator(inspected.begin());
  for (FoundLock& lock : locks) {
    const auto end = next_file + static_cast<std::ptrdiff_t>(lock.files.size());
    inspected_locks.push_back({std::move(lock), {next_file, end}});
    next_file = end;
  }
  if (!lost.empty()) {
    std::vector<FileToInspect> lost_files;
    for (const FoundLost& one : lost) lost_files.push_back(one.file);
    add_lost(inspected_locks, std::move(lost), inspect(lost_files, view, mounts, search));
  }

  std::vector<LockReport> reports;
  reports.reserve(inspected_locks.size());
  for (auto& [lock, lock_files] : inspected_locks) {
    LockReport report{lock.tier, lock.target, lock.path, lock.is_old};
    if (lock.tier == Tier::semaphore) report.slots = slots;
    merge(lock, lock_files, report);
    if (file_systems == FileSystems::of_all || report.merged.state != LockState::absent) {
      find_file_system(report, was_looked_up(lock), reports, mounts);
    }
    reports.push_back(std::move(report));
  }
  add_waiters_at_gates(inspected_locks, reports, mounts, search);
  describe_guards(reports);
  return reports;
}

}  // namespace grex::core
