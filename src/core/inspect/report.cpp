#include "core/inspect/report.hpp"

#include <algorithm>
#include <span>

#include "sys/file/file.hpp"

namespace grex::core {
namespace {

// A process that waits for any slot waits at several of them.
void add_waiters(std::vector<LockProcess>& waiters, const FileReport& report, std::optional<unsigned> slot) {
  for (LockProcess process : report.waiters) {
    const auto is_it = [&process](const LockProcess& other) { return process.pid && other.pid == process.pid; };
    if (std::any_of(waiters.begin(), waiters.end(), is_it)) continue;
    process.slot = slot;
    waiters.push_back(std::move(process));
  }
}

// Merges the reports on the slots and on the queue files behind them.
void merge(const FoundLock& lock, std::span<const FileReport> files, LockReport& report) {
  FileReport merged;
  bool any_file = false;
  bool any_unknown = !lock.is_complete;
  for (std::size_t i = 0; i < lock.slots.size(); ++i) {
    const FileReport& file = files[i];
    any_file = any_file || file.state != LockState::absent;
    any_unknown = any_unknown || file.state == LockState::unknown;
    if (file.why_unknown) merged.why_unknown = file.why_unknown;
    if (file.record == RecordState::stale || merged.record == RecordState::none) merged.record = file.record;
    if (report.used == 0) merged.evidence = file.evidence;
    add_waiters(merged.waiters, file, lock.slots[i]);
    if (file.state != LockState::held) continue;
    merged.evidence = file.evidence;
    if (merged.mode != sys::Mode::exclusive) merged.mode = file.mode;
    ++report.used;
    for (LockProcess process : file.holders) {
      process.slot = lock.slots[i];
      merged.holders.push_back(std::move(process));
    }
  }
  for (std::size_t i = lock.slots.size(); i < lock.files.size(); ++i) add_waiters(merged.waiters, files[i], {});
  merged.state = any_file ? LockState::free : LockState::absent;
  if (any_unknown) merged.state = LockState::unknown;
  if (report.used > 0) merged.state = LockState::held;
  report.file = std::move(merged);
}

// A device has one file system, so that is looked up once for consecutive locks on it.
void find_file_system(LockReport& report, const std::vector<LockReport>& before, const std::vector<Mount>& mounts) {
  const auto device_of = [](const FileReport& file) {
    return file.file ? std::optional(file.file->id.dev) : std::nullopt;
  };
  const auto device = device_of(report.file);
  if (!before.empty() && device && device == device_of(before.back().file)) {
    report.file_system = before.back().file_system;
  } else if (const auto place = sys::place_of(report.path)) {
    report.file_system = file_system_at(*place, mounts);
  }
}

}  // namespace

std::vector<LockReport> report_on(const std::vector<FoundLock>& locks, unsigned slots, const HolderSearch& search) {
  std::vector<std::string> files;
  for (const FoundLock& lock : locks) files.insert(files.end(), lock.files.begin(), lock.files.end());
  const std::vector<Mount> mounts = visible_mounts();
  std::vector<FileReport> inspected = inspect(files, mounts, search);
  std::vector<LockReport> reports;
  reports.reserve(locks.size());
  std::size_t next = 0;
  for (const FoundLock& lock : locks) {
    LockReport report{lock.tier, lock.target, lock.path, {}};
    if (lock.tier == Tier::semaphore) {
      report.slots = slots;
      merge(lock, std::span(inspected).subspan(next, lock.files.size()), report);
    } else {
      report.file = std::move(inspected[next]);
    }
    next += lock.files.size();
    find_file_system(report, reports, mounts);
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace grex::core
