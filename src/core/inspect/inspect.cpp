#include "core/inspect/inspect.hpp"

#include <algorithm>
#include <set>

#include "core/inspect/holders.hpp"
#include "core/inspect/kernel_view.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

// Tries the lock: first exclusively, which any holder prevents, then shared.
FileReport report_by_trying(const std::string& path) {
  auto file = sys::open_lock_file(path, sys::OpenFor::probing);
  if (!file) return {};
  const auto exclusive = sys::try_lock(file->fd.get(), sys::Mode::exclusive);
  if (!exclusive) return {};
  FileReport report;
  report.evidence = Evidence::probe;
  report.state = LockState::free;
  if (*exclusive == sys::Acquire::held) return report;
  const auto shared = sys::try_lock(file->fd.get(), sys::Mode::shared);
  if (!shared) return {};
  report.state = LockState::held;
  report.mode = *shared == sys::Acquire::held ? sys::Mode::shared : sys::Mode::exclusive;
  return report;
}

void read_record(InspectedFile& inspected) {
  auto file = sys::open_lock_file(inspected.path, sys::OpenFor::reading);
  if (!file) return;
  const auto text = sys::read_start(file->fd.get(), record_limit + 1);
  if (!text || text->empty()) return;
  inspected.report.record = RecordState::stale;
  inspected.record = parse_record(*text);
}

void inspect_lock(InspectedFile& inspected, const KernelView& view) {
  inspected.locks = view.on(inspected.file);
  const auto holder = std::find_if(inspected.locks.begin(), inspected.locks.end(), is_holder);
  if (holder != inspected.locks.end()) {
    inspected.report.state = LockState::held;
    inspected.report.mode = holder->mode;
    inspected.report.evidence = Evidence::kernel;
  } else if (view.is_complete_for(inspected.file)) {
    inspected.report.state = LockState::free;
    inspected.report.evidence = Evidence::kernel;
  } else {
    inspected.report = report_by_trying(inspected.path);
  }
}

void inspect_file(InspectedFile& inspected, const KernelView& view, const std::vector<Mount>& mounts) {
  const auto status = sys::status_of(inspected.path);
  if (!status) return;
  if (status->type == sys::FileType::absent) inspected.report.state = LockState::absent;
  if (status->type != sys::FileType::regular) {
    inspected.report.why_unknown = "it is not a regular file";
    return;
  }
  inspected.file = status->id;
  inspect_lock(inspected, view);
  // Trying shows that the lock is held, but not by which process. A list that missed a
  // lock is likely to show it when read again.
  constexpr int max_reads = 8;
  const auto is_holder_unlisted = [&inspected] {
    return inspected.report.state == LockState::held && inspected.report.evidence == Evidence::probe;
  };
  for (int i = 0; i < max_reads && view.is_inconsistent_for(inspected.file) && is_holder_unlisted(); ++i) {
    inspect_lock(inspected, KernelView::take(mounts));
  }
  inspected.report.device = status->id.dev;
  if (status->size > 0) read_record(inspected);
}

// Adds a descriptor to the inspected file that it is open for. It counts only if it has
// the lock: the same file may also be open without it.
void inspect_descriptor(const sys::OpenDescriptor& descriptor, const std::vector<InspectedFile*>& held,
                        const KernelView& view) {
  const auto locks = parse_lock_table(sys::descriptor_info(descriptor).value_or(""));
  if (locks.empty()) return;
  for (InspectedFile* inspected : held) {
    if (inspected->file != descriptor.file) continue;
    inspected->holding.push_back(descriptor);
    // If the kernel's list has no lock for the file, or another device number, the
    // descriptor shows both.
    if (inspected->locks.empty()) inspected->locks = view.on(locks.front().file);
    if (std::none_of(inspected->locks.begin(), inspected->locks.end(), is_holder)) {
      inspected->locks.insert(inspected->locks.begin(), locks.begin(), locks.end());
    }
  }
}

// Finds the descriptors of these processes that have one of the locks.
void inspect_processes(const std::vector<pid_t>& pids, const std::vector<InspectedFile*>& held, const KernelView& view,
                       const HolderSearch& search) {
  std::vector<sys::FileId> files(held.size());
  std::transform(held.begin(), held.end(), files.begin(),
                 [](const InspectedFile* inspected) { return inspected->file; });
  std::sort(files.begin(), files.end());
  const pid_t self = sys::own_pid();  // a copy that this process inherited is of no interest
  for (const pid_t pid : pids) {
    if (search.should_stop()) return;
    if (pid == self) continue;
    const auto descriptors = sys::descriptors_of(pid);
    if (!descriptors) {
      for (InspectedFile* inspected : held) inspected->unreadable.push_back(pid);
      continue;
    }
    for (const sys::OpenDescriptor& descriptor : *descriptors) {
      if (std::binary_search(files.begin(), files.end(), descriptor.file)) inspect_descriptor(descriptor, held, view);
    }
  }
}

// The processes that took the locks, from /proc/locks.
std::vector<pid_t> acquirers_of(const std::vector<InspectedFile*>& held) {
  std::set<pid_t> acquirers;
  for (const InspectedFile* inspected : held) {
    for (const KernelLock& lock : inspected->locks) {
      if (is_holder(lock) && lock.pid > 0) acquirers.insert(lock.pid);
    }
  }
  return {acquirers.begin(), acquirers.end()};
}

void find_holders(const std::vector<InspectedFile*>& held, const KernelView& view, const HolderSearch& search) {
  if (search.extent == HolderSearch::Extent::acquirers) {
    inspect_processes(acquirers_of(held), held, view, search);
    if (std::none_of(held.begin(), held.end(),
                     [](const InspectedFile* inspected) { return inspected->holding.empty(); }))
      return;
    for (InspectedFile* inspected : held) {
      inspected->holding.clear();
      inspected->unreadable.clear();
    }
  }
  inspect_processes(sys::processes().value_or(std::vector<pid_t>()), held, view, search);
}

}  // namespace

std::vector<FileReport> inspect(const std::vector<std::string>& paths, const std::vector<Mount>& mounts,
                                const HolderSearch& search) {
  const KernelView view = KernelView::take(mounts);
  std::vector<InspectedFile> inspected_files(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    inspected_files[i].path = paths[i];
    inspect_file(inspected_files[i], view, mounts);
  }
  std::vector<InspectedFile*> held;
  for (InspectedFile& inspected : inspected_files) {
    if (inspected.report.state == LockState::held) held.push_back(&inspected);
  }
  if (!held.empty()) {
    find_holders(held, view, search);
    const ProcessIdentity self = own_identity();
    std::vector<LockProcess*> processes;
    for (InspectedFile* inspected : held) {
      fill_in_processes(*inspected, self);
      for (LockProcess& process : inspected->report.holders) processes.push_back(&process);
      for (LockProcess& process : inspected->report.waiters) processes.push_back(&process);
    }
    fill_in_user_names(processes);
  }
  std::vector<FileReport> reports;
  reports.reserve(inspected_files.size());
  for (InspectedFile& inspected : inspected_files) reports.push_back(std::move(inspected.report));
  return reports;
}

}  // namespace grex::core
