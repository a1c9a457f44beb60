#include "core/inspect/report.hpp"

#include <algorithm>
#include <span>

#include "sys/file/file.hpp"

namespace grex::core {
namespace {

// The lower, the more it says about a lock that has a file in this state.
int rank_of(LockState state) {
  switch (state) {
    case LockState::held:
      return 0;
    case LockState::unknown:
      return 1;
    case LockState::free:
      return 2;
    case LockState::absent:
      break;
  }
  return 3;
}

// A process that has one file and waits for the next does not hold the lock.
void remove_waiters(std::vector<LockProcess>& holders, const std::vector<LockProcess>& waiters) {
  std::erase_if(holders, [&waiters](const LockProcess& holder) {
    return holder.pid && std::any_of(waiters.begin(), waiters.end(), [&holder](const LockProcess& waiter) {
             return waiter.pid == holder.pid && waiter.file != holder.file;
           });
  });
}

RecordState better(RecordState a, RecordState b) {
  if (a == RecordState::valid || b == RecordState::valid) return RecordState::valid;
  return a == RecordState::stale ? a : b;
}

// Keeps the one that released later.
void keep_last(std::optional<LastHolder>& last, std::optional<LastHolder> other) {
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
      if (!lock.why_incomplete || file.state == LockState::held) merged.state = file.state;
    }
    is_first = false;
    merged.record = better(merged.record, file.record);
    keep_last(merged.last, std::move(file.last));
    if (file.state != LockState::held) continue;
    if (merged.mode != sys::Mode::exclusive) merged.mode = file.mode;
    if (found.slot) ++report.used;
    add_processes(merged.holders, std::move(file.holders), path, found.slot);
  }
  remove_waiters(merged.holders, merged.waiters);
  // The path must be that of a file which the first holder has.
  if (!merged.holders.empty() && lock.tier != Tier::semaphore) report.path = merged.holders.front().file;
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

}  // namespace

std::vector<LockReport> report_on(const std::vector<FoundLock>& locks, unsigned slots, const HolderSearch& search) {
  std::vector<FileToInspect> files;
  for (const FoundLock& lock : locks) {
    for (const FoundFile& found : lock.files) files.push_back(found.file);
  }
  const std::vector<Mount> mounts = visible_mounts();
  std::vector<FileReport> inspected = inspect(files, mounts, search);
  std::vector<LockReport> reports;
  reports.reserve(locks.size());
  std::size_t next = 0;
  for (const FoundLock& lock : locks) {
    LockReport report{lock.tier, lock.target, lock.path, lock.is_old};
    if (lock.tier == Tier::semaphore) report.slots = slots;
    merge(lock, std::span(inspected).subspan(next, lock.files.size()), report);
    next += lock.files.size();
    find_file_system(report, was_looked_up(lock), reports, mounts);
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace grex::core
