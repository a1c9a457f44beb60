#include "core/inspect/inspect.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/search_holders.hpp"
#include "sys/file/io.hpp"
#include "sys/lock/flock.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

// Tries the lock: first exclusively, which any holder prevents, then shared.
void inspect_by_trying(sys::LockFile& file, const sys::LockFileName& name, FileReport& report) {
  const auto exclusive =
      sys::try_lock(file, sys::Mode::exclusive, [&name] { return sys::open_lock_file(name, sys::OpenFor::writing); });
  if (!exclusive) {
    report.why_unknown = at_path(exclusive.error(), name.path());
    return;
  }
  report.mode.reset();
  const bool is_free = *exclusive == sys::Acquire::held;
  const auto shared = is_free ? exclusive : sys::try_lock(file.fd.get(), sys::Mode::shared);
  if (!shared) {
    report.why_unknown = at_path(shared.error(), name.path());
    return;
  }
  report.evidence = Evidence::probe;
  report.state = is_free ? LockState::free : LockState::held;
  if (!is_free) report.mode = *shared == sys::Acquire::held ? sys::Mode::shared : sys::Mode::exclusive;
}

void read_record(InspectedFile& inspected, int fd) {
  const auto text = sys::read_stable_start(fd, record_limit + 1);
  auto record = text ? parse_record(*text) : std::nullopt;
  if (!record) return;
  if (record->release) {
    inspected.report.last = std::make_shared<LastHolder>(last_holder(*record));
    return;
  }
  inspected.report.record = RecordState::stale;  // unless it is a holder's
  inspected.record = std::make_unique<const Record>(std::move(*record));
}

void read_record(InspectedFile& inspected) {
  const auto file = sys::open_lock_file(inspected.name, sys::OpenFor::reading);
  if (file) read_record(inspected, file->fd.get());
}

// The number by which the kernel lists a file: its inode number, and the device of the
// superblock that its mount shows.
sys::FileId listed_number(const sys::LockFile& file, const std::vector<Mount>& mounts) {
  const auto place = sys::place_of(file.fd.get());
  const Mount* const mount = place ? find_mount(place->mount, mounts) : nullptr;
  return mount == nullptr ? file.id : sys::FileId{mount->device, file.id.ino};
}

// Opening a file breaks a lease on it.
std::optional<pid_t> find_lease(const InspectedFile& inspected, const KernelView& view,
                                const std::vector<Mount>& mounts) {
  if (!view.has_leases()) return std::nullopt;
  if (const auto pid = view.lease_holder(inspected.file)) return pid;
  const auto place = sys::place_of(inspected.name.path());
  const Mount* const mount = place ? find_mount(place->mount, mounts) : nullptr;
  return mount == nullptr ? std::nullopt : view.lease_holder({mount->device, inspected.file.ino});
}

bool has_holder(const std::vector<KernelLock>& locks) { return std::any_of(locks.begin(), locks.end(), is_holder); }

void conclude(InspectedFile& inspected, LockState state, std::optional<sys::Mode> mode) {
  inspected.report.state = state;
  inspected.report.mode = mode;
  inspected.report.evidence = Evidence::kernel;
}

// Whether the list has a holder. If it has a lock with the file's st_dev, that is the
// superblock's device, and the lock is on no other file.
bool find_listed_holder(InspectedFile& inspected, const KernelView& view) {
  inspected.report.is_list_cut = view.is_cut();
  inspected.locks = view.on(inspected.file);
  const auto holder = std::find_if(inspected.locks.begin(), inspected.locks.end(), is_holder);
  if (holder == inspected.locks.end()) return false;
  conclude(inspected, LockState::held, holder->mode);
  return true;
}

void inspect_lock(InspectedFile& inspected, const KernelView& view, const std::vector<Mount>& mounts) {
  if (find_listed_holder(inspected, view)) return;
  if (view.is_complete_for(inspected.file)) return conclude(inspected, LockState::free, {});
  if (inspected.report.lease) return;
  auto file = sys::open_lock_file(inspected.name, sys::OpenFor::reading);
  if (file && file->is_leased) {
    inspected.report.lease = std::make_shared<LockProcess>();
    return;
  }
  if (!file) inspected.report.why_unknown = file.error();
  if (!file || file->id != inspected.file) return;  // the latter: it was replaced
  const sys::FileId number = listed_number(*file, mounts);
  if (number != file->id) {
    inspected.shares_number = true;
    inspected.locks = view.on(number);
    // No file with this number is locked.
    if (inspected.locks.empty() && view.is_complete_for(number)) return conclude(inspected, LockState::free, {});
  }
  inspect_by_trying(*file, inspected.name, inspected.report);
  if (inspected.report.state != LockState::held) inspected.locks.clear();
}

// What is known of a file that must not be looked up.
void inspect_from_afar(InspectedFile& inspected, const sys::FileStatus& status, const KernelView& view) {
  inspected.file = status.id;
  inspected.report.file = status;
  if (find_listed_holder(inspected, view)) return;
  inspected.report.why_unknown = Error{ErrorKind::io, not_looked_up, inspected.name.path()};
}

// Only a descriptor leads to the file. It shows the number by which the kernel lists it.
void inspect_lost(InspectedFile& inspected, const FileToInspect& file, const KernelView& view,
                  const std::vector<Mount>& mounts) {
  const LostFile& lost = *file.lost;
  inspected.file = file.status->id;
  inspected.report.file = file.status;
  inspected.report.state = LockState::absent;
  const auto shown = locks_on(lost.descriptor);
  if (!shown || shown->empty()) return;  // it has been released
  inspected.locks = view.on(shown->front().file);
  inspected.shares_number = shown->front().file != inspected.file;
  if (!has_holder(inspected.locks)) inspected.locks.insert(inspected.locks.begin(), shown->begin(), shown->end());
  inspected.restored_by = lost.restored_by;
  std::erase_if(inspected.locks,
                [&lost](const KernelLock& lock) { return is_holder(lock) && lost.restored_by.contains(lock.pid); });
  const auto holder = std::find_if(inspected.locks.begin(), inspected.locks.end(), is_holder);
  if (holder == inspected.locks.end()) return;
  conclude(inspected, LockState::lost, holder->mode);
  if (view.has_leases() || may_never_answer(lost.descriptor, mounts)) return;
  const UniqueFd record = sys::open_file_of(lost.descriptor);
  if (record.is_open()) read_record(inspected, record.get());
}

void inspect_file(InspectedFile& inspected, const std::optional<sys::FileStatus>& known, const KernelView& view,
                  const std::vector<Mount>& mounts, const StopToken& should_stop) {
  const auto status = known ? sys::checked_status(*known, inspected.name) : sys::status_of_lock_file(inspected.name);
  if (!status) {
    inspected.report.why_unknown = status.error();
    return;
  }
  if (status->type == sys::FileType::absent) {
    inspected.report.state = LockState::absent;
    return;
  }
  inspected.file = status->id;
  inspected.report.file = *status;
  if (const auto pid = find_lease(inspected, view, mounts)) {
    inspected.report.lease = std::make_shared<LockProcess>(fd_holder(*pid, {}));
  }
  inspect_lock(inspected, view, mounts);
  // Trying shows that the lock is held, but not by which process. A list that missed a
  // lock is likely to show it when read again.
  constexpr int max_reads = 8;
  const auto is_holder_unlisted = [&inspected] {
    return inspected.report.state == LockState::held && !has_holder(inspected.locks);
  };
  for (int i = 0; i < max_reads && view.is_inconsistent_for(inspected.file) && is_holder_unlisted(); ++i) {
    if (should_stop()) break;
    inspect_lock(inspected, KernelView::take(mounts, should_stop), mounts);
  }
  if (status->size > 0 && !inspected.report.lease) read_record(inspected);
  if (inspected.report.state == LockState::held) inspected.report.lease.reset();
}

bool is_open_here(const InspectedFile& inspected) {
  const auto descriptors = sys::descriptors_of(sys::own_process);
  return !descriptors || std::any_of(descriptors->begin(), descriptors->end(),
                                     [&inspected](const auto& open) { return open.file == inspected.file; });
}

// Marks the holders whose lock no process has open, although the kernel has listed it all
// the time. Only root can know.
void mark_open_nowhere(InspectedFile& inspected, const SearchedProcesses& searched, const KernelView& view) {
  const bool saw_all = searched.is_complete && sys::is_root_of_machine() && view.sees_every_process();
  if (!saw_all || inspected.shares_number) return;
  const auto is_open = [&inspected](const KernelLock& lock) {
    return !is_holder(lock) || contains(inspected.shown.ours.locks, lock);
  };
  if (std::all_of(inspected.locks.begin(), inspected.locks.end(), is_open)) return;
  if (is_open_here(inspected)) return;
  const KernelView now = KernelView::take_stable();
  for (const KernelLock& lock : inspected.locks) {
    if (is_open(lock) || !contains(now.on(lock.file), lock)) continue;
    for (LockProcess& holder : inspected.report.holders) {
      if (holder.role != Role::acquirer || holder.pid != lock.pid) continue;
      holder.openers = searched.unreadable.empty() ? Openers::none : Openers::none_seen;
    }
  }
}

}  // namespace

std::vector<FileReport> inspect(const std::vector<sys::LockFileName>& names, const std::vector<Mount>& mounts,
                                const HolderSearch& search) {
  std::vector<FileToInspect> files;
  files.reserve(names.size());
  for (const sys::LockFileName& name : names) files.push_back({name});
  return inspect(files, mounts, search);
}

std::vector<FileReport> inspect(const std::vector<FileToInspect>& files, const std::vector<Mount>& mounts,
                                const HolderSearch& search) {
  return inspect(files, KernelView::take(mounts, search.should_stop), mounts, search);
}

std::vector<FileReport> inspect(const std::vector<FileToInspect>& files, const KernelView& view,
                                const std::vector<Mount>& mounts, const HolderSearch& search) {
  std::vector<InspectedFile> inspected_files;
  inspected_files.reserve(files.size());
  for (const FileToInspect& file : files) {
    InspectedFile& inspected = inspected_files.emplace_back(file.name);
    if (file.lost) {
      inspect_lost(inspected, file, view, mounts);
    } else if (file.may_never_answer) {
      inspect_from_afar(inspected, *file.status, view);
    } else {
      inspect_file(inspected, file.status, view, mounts, search.should_stop);
    }
  }
  std::vector<InspectedFile*> held;
  std::vector<LockProcess*> processes;
  for (InspectedFile& inspected : inspected_files) {
    if (is_in_use(inspected.report.state)) held.push_back(&inspected);
    if (inspected.report.last) processes.push_back(&inspected.report.last->process);
    if (inspected.report.lease) processes.push_back(&*inspected.report.lease);
  }
  if (!held.empty()) {
    const SearchedProcesses searched = search_holders(held, view, mounts, search);
    const ProcessIdentity self = own_identity();
    for (InspectedFile* inspected : held) {
      fill_in_processes(*inspected, searched, self, search);
      mark_open_nowhere(*inspected, searched, view);
      for (auto* const all : {&inspected->report.holders, &inspected->report.waiters}) {
        for (LockProcess& process : *all) {
          process.is_lost = inspected->report.state == LockState::lost;
          processes.push_back(&process);
        }
      }
    }
  }
  fill_in_user_names(processes);
  std::vector<FileReport> reports;
  reports.reserve(inspected_files.size());
  for (InspectedFile& inspected : inspected_files) reports.push_back(std::move(inspected.report));
  return reports;
}

}  // namespace grex::core
