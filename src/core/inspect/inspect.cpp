#include "core/inspect/inspect.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "core/inspect/holders.hpp"
#include "core/inspect/kernel_view.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

// What trying the lock tells, from the mode that is kept by the fewest.
FileReport tried(const std::string& path) {
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

void read_record(Subject& subject) {
  auto file = sys::open_lock_file(subject.path, sys::OpenFor::reading);
  if (!file) return;
  const auto text = sys::read_start(file->fd.get(), record_limit + 1);
  if (!text || text->empty()) return;
  subject.report.record = RecordState::stale;
  subject.record = parse_record(*text);
}

void look_at_lock(Subject& subject, const KernelView& view) {
  subject.locks = view.on(subject.file);
  const auto holder = std::find_if(subject.locks.begin(), subject.locks.end(), is_holder);
  if (holder != subject.locks.end()) {
    subject.report.state = LockState::held;
    subject.report.mode = holder->mode;
    subject.report.evidence = Evidence::kernel;
  } else if (view.is_complete_for(subject.file)) {
    subject.report.state = LockState::free;
    subject.report.evidence = Evidence::kernel;
  } else {
    subject.report = tried(subject.path);
  }
}

void look_at_file(Subject& subject, const KernelView& view, const std::vector<Mount>& mounts) {
  const auto status = sys::status_of(subject.path);
  if (!status) return;
  if (status->type == sys::FileType::absent) subject.report.state = LockState::absent;
  if (status->type != sys::FileType::regular) {
    subject.report.why_unknown = "it is not a regular file";
    return;
  }
  subject.file = status->id;
  look_at_lock(subject, view);
  // Trying tells that it is held, not by whom: a list that missed a lock is
  // likely to show it when read again.
  constexpr int looks = 8;
  const auto held_by_nobody_listed = [&subject] {
    return subject.report.state == LockState::held && subject.report.evidence == Evidence::probe;
  };
  for (int i = 0; i < looks && view.is_torn_for(subject.file) && held_by_nobody_listed(); ++i) {
    look_at_lock(subject, KernelView::take(mounts));
  }
  subject.report.device = status->id.dev;
  if (status->size > 0) read_record(subject);
}

// A descriptor for the file of one of the subjects. It counts only if it has
// the lock: the same file may also be open without.
void look_at_descriptor(const sys::OpenDescriptor& descriptor, const std::vector<Subject*>& held,
                        const KernelView& view) {
  const auto locks = parse_lock_table(sys::descriptor_info(descriptor).value_or(""));
  if (locks.empty()) return;
  for (Subject* subject : held) {
    if (subject->file != descriptor.file) continue;
    subject->holding.push_back(descriptor);
    // Where the kernel's list shows nothing, or another device number, the
    // descriptor knows both.
    if (subject->locks.empty()) subject->locks = view.on(locks.front().file);
    if (std::none_of(subject->locks.begin(), subject->locks.end(), is_holder)) {
      subject->locks.insert(subject->locks.begin(), locks.begin(), locks.end());
    }
  }
}

// Finds, in these processes, the descriptors that have one of the locks.
void look_at_processes(const std::vector<pid_t>& pids, const std::vector<Subject*>& held, const KernelView& view,
                       const HolderSearch& search) {
  std::vector<sys::FileId> files(held.size());
  std::transform(held.begin(), held.end(), files.begin(), [](const Subject* subject) { return subject->file; });
  std::sort(files.begin(), files.end());
  const pid_t self = sys::own_pid();  // whose copy, if it inherited one, tells nobody anything
  for (const pid_t pid : pids) {
    if (search.gives_up()) return;
    if (pid == self) continue;
    const auto descriptors = sys::descriptors_of(pid);
    if (!descriptors) {
      for (Subject* subject : held) subject->unreadable.push_back(pid);
      continue;
    }
    for (const sys::OpenDescriptor& descriptor : *descriptors) {
      if (std::binary_search(files.begin(), files.end(), descriptor.file)) look_at_descriptor(descriptor, held, view);
    }
  }
}

// Those who took the locks, by the kernel's word.
std::vector<pid_t> takers_of(const std::vector<Subject*>& held) {
  std::set<pid_t> takers;
  for (const Subject* subject : held) {
    for (const KernelLock& lock : subject->locks) {
      if (is_holder(lock) && lock.pid > 0) takers.insert(lock.pid);
    }
  }
  return {takers.begin(), takers.end()};
}

void find_holders(const std::vector<Subject*>& held, const KernelView& view, const HolderSearch& search) {
  if (search.extent == HolderSearch::Extent::takers) {
    look_at_processes(takers_of(held), held, view, search);
    if (std::none_of(held.begin(), held.end(), [](const Subject* subject) { return subject->holding.empty(); })) return;
    for (Subject* subject : held) {
      subject->holding.clear();
      subject->unreadable.clear();
    }
  }
  look_at_processes(sys::processes(), held, view, search);
}

}  // namespace

std::string_view name_of(LockState state) {
  constexpr std::array<std::string_view, 4> names = {"held", "free", "absent", "unknown"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view name_of(Evidence evidence) {
  constexpr std::array<std::string_view, 3> names = {"kernel", "probe", "none"};
  return names.at(static_cast<std::size_t>(evidence));
}

std::string_view name_of(RecordState state) {
  constexpr std::array<std::string_view, 3> names = {"valid", "stale", "none"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view name_of(Role role) {
  constexpr std::array<std::string_view, 3> names = {"acquirer", "fd-holder", "waiter"};
  return names.at(static_cast<std::size_t>(role));
}

std::vector<FileReport> inspect(const std::vector<std::string>& paths, const std::vector<Mount>& mounts,
                                const HolderSearch& search) {
  const KernelView view = KernelView::take(mounts);
  std::vector<Subject> subjects(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    subjects[i].path = paths[i];
    look_at_file(subjects[i], view, mounts);
  }
  std::vector<Subject*> held;
  for (Subject& subject : subjects) {
    if (subject.report.state == LockState::held) held.push_back(&subject);
  }
  if (!held.empty()) {
    find_holders(held, view, search);
    const ProcessIdentity self = own_identity();
    std::vector<Party*> parties;
    for (Subject* subject : held) {
      name_parties(*subject, self);
      for (Party& party : subject->report.holders) parties.push_back(&party);
      for (Party& party : subject->report.waiters) parties.push_back(&party);
    }
    name_users(parties);
  }
  std::vector<FileReport> reports;
  reports.reserve(subjects.size());
  for (Subject& subject : subjects) reports.push_back(std::move(subject.report));
  return reports;
}

}  // namespace grex::core
