#include "core/inspect.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>

#include "core/kernel_view.hpp"
#include "core/process_text.hpp"
#include "sys/proc.hpp"

namespace grex::core {
namespace {

using KernelRole = KernelLock::Role;

// One lock file while its report is being made.
struct Subject {
  std::string path;
  sys::FileId file;
  std::vector<KernelLock> locks;             // holders and waiters
  std::vector<sys::OpenDescriptor> holding;  // descriptors that have the lock
  std::vector<pid_t> unreadable;             // processes that may hold it unseen
  std::optional<Record> record;
  FileReport report;
};

bool is_holder(const KernelLock& lock) { return lock.role == KernelRole::holder; }

// What trying the lock tells, from the mode that is kept by the fewest.
FileReport tried(const std::string& path) {
  auto file = sys::open_lock_file(AT_FDCWD, path, sys::IfMissing::leave);
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
  auto file = sys::open_lock_file(AT_FDCWD, subject.path, sys::IfMissing::leave);
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

void look_at_file(Subject& subject, const KernelView& view) {
  const auto status = sys::status_of(subject.path);
  if (!status) return;
  if (status->type == sys::FileType::absent) subject.report.state = LockState::absent;
  if (status->type != sys::FileType::regular) return;
  subject.file = status->id;
  look_at_lock(subject, view);
  // Trying tells that it is held, not by whom: a list that missed a lock is
  // likely to show it when read again.
  constexpr int looks = 8;
  for (int i = 0; i < looks && subject.report.evidence == Evidence::probe && view.is_torn_for(subject.file); ++i) {
    if (subject.report.state != LockState::held) break;
    look_at_lock(subject, KernelView::take());
  }
  read_record(subject);
}

// Finds the descriptors, in any process, that have one of the locks. The same
// file may also be open where the lock is not.
void look_at_processes(std::vector<Subject*>& held, const KernelView& view) {
  std::vector<sys::FileId> files;
  for (const Subject* subject : held) files.push_back(subject->file);
  const pid_t self = ::getpid();  // whose copy, if it inherited one, tells nobody anything
  for (const pid_t pid : sys::processes()) {
    if (pid == self) continue;
    const auto descriptors = sys::descriptors_of(pid, files);
    for (Subject* subject : held) {
      if (!descriptors) subject->unreadable.push_back(pid);
    }
    if (!descriptors) continue;
    for (const sys::OpenDescriptor& descriptor : *descriptors) {
      const auto locks = parse_lock_table(sys::descriptor_info(descriptor).value_or(""));
      if (locks.empty()) continue;
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
  }
}

void describe_process(Party& party) {
  const pid_t pid = party.pid.value();
  party.uid = sys::owner_of(pid);
  party.command = parse_command_line(sys::process_file(pid, "cmdline").value_or(""));
  party.cwd = sys::process_link(pid, "cwd").value_or("");
  party.host = sys::host_name();
}

void describe_by(Party& party, const Record& record) {
  party.uid = record.uid;
  party.command = record.command;
  party.cwd = record.cwd;
  party.since = record.since;
  party.host = record.writer.host;
  party.note = record.note;
  party.verb = record.verb;
}

enum class Match { yes, no, unknown };

// Whether the process that has this number now is the one that wrote the record.
Match is_writer(const Record& record, pid_t pid) {
  const auto stat = sys::process_file(pid, "stat");
  if (!stat) return Match::unknown;
  const auto innermost = parse_innermost_pid(sys::process_file(pid, "status").value_or(""));
  const bool same = parse_start_time(*stat) == record.writer.start_time && innermost.value_or(pid) == record.writer.pid;
  return same ? Match::yes : Match::no;
}

// Valid if the lock that its writer took is still held. `writer` becomes the
// writer's number here, where the kernel shows one.
RecordState judge_record(const Subject& subject, const ProcessIdentity& self, std::optional<pid_t>& writer) {
  if (!subject.record) return subject.report.record;
  const Record& record = *subject.record;
  if (subject.report.state != LockState::held || subject.report.mode == sys::Mode::shared) return RecordState::stale;
  const bool other_host = record.writer.host != self.host;
  if (!other_host && record.writer.boot_id != self.boot_id) return RecordState::stale;

  bool acquirer_is_known = false;
  for (const KernelLock& lock : subject.locks) {
    if (!is_holder(lock) || lock.pid <= 0) continue;
    acquirer_is_known = true;
    const Match match = is_writer(record, lock.pid);
    const bool same_number = lock.pid == record.writer.pid && record.writer.pid_ns == self.pid_ns;
    if (match == Match::no || (match == Match::unknown && !same_number)) continue;
    writer = lock.pid;
    return RecordState::valid;
  }
  // Held, but by nobody with a number here: in another PID namespace, on
  // another host, or by the heirs of a writer who is gone. A record is emptied
  // before its lock is freed, so this one is that holder's.
  return acquirer_is_known ? RecordState::stale : RecordState::valid;
}

Party acquirer_from(const Subject& subject, const KernelLock& lock, std::optional<pid_t> writer) {
  Party party;
  party.role = Role::acquirer;
  party.mode = lock.mode;
  if (lock.pid <= 0) return party;
  party.pid = lock.pid;
  const bool holds = std::any_of(subject.holding.begin(), subject.holding.end(),
                                 [&lock](const sys::OpenDescriptor& open) { return open.pid == lock.pid; });
  const bool unreadable =
      std::find(subject.unreadable.begin(), subject.unreadable.end(), lock.pid) != subject.unreadable.end();
  const bool is_verified_writer =
      writer == lock.pid && subject.record && is_writer(*subject.record, lock.pid) == Match::yes;
  if (holds || is_verified_writer) {
    party.alive = true;
  } else if (sys::existence_of(lock.pid) == sys::Existence::gone) {
    party.alive = false;
  }
  // A process that has this number, may be looked at, and has no such lock
  // open is a stranger who got the number later, or let go of its copy.
  if (party.alive.value_or(unreadable)) describe_process(party);
  if (writer == lock.pid) describe_by(party, *subject.record);
  return party;
}

// The writer of a valid record whom the kernel does not show us.
Party acquirer_from(const Record& record, std::optional<sys::Mode> mode, const ProcessIdentity& self) {
  Party party;
  party.role = Role::acquirer;
  party.mode = mode;
  describe_by(party, record);
  const bool other_host = record.writer.host != self.host;
  // A number of another namespace would name a stranger here.
  if (other_host || record.writer.pid_ns == self.pid_ns) party.pid = record.writer.pid;
  if (!other_host && party.pid && sys::existence_of(*party.pid) == sys::Existence::gone) party.alive = false;
  return party;
}

void add_holders(Subject& subject, const ProcessIdentity& self) {
  std::optional<pid_t> writer;
  subject.report.record = judge_record(subject, self, writer);
  auto& holders = subject.report.holders;
  const auto is_listed = [&holders](pid_t pid) {
    return std::any_of(holders.begin(), holders.end(), [pid](const Party& party) { return party.pid == pid; });
  };
  for (const KernelLock& lock : subject.locks) {
    if (!is_holder(lock) || lock.pid <= 0 || is_listed(lock.pid)) continue;
    holders.push_back(acquirer_from(subject, lock, writer));
  }
  if (holders.empty() && subject.report.record == RecordState::valid) {
    holders.push_back(acquirer_from(*subject.record, subject.report.mode, self));
  }
  for (const sys::OpenDescriptor& open : subject.holding) {
    if (is_listed(open.pid)) continue;
    Party party;
    party.pid = open.pid;
    party.alive = true;
    party.mode = subject.report.mode;
    describe_process(party);
    holders.push_back(party);
  }
}

void add_waiters(Subject& subject) {
  for (const KernelLock& lock : subject.locks) {
    if (is_holder(lock)) continue;
    Party party;
    party.role = Role::waiter;
    party.mode = lock.mode;
    if (lock.pid > 0) {
      party.pid = lock.pid;
      party.alive = true;  // a waiter that ends leaves the queue
      describe_process(party);
    }
    subject.report.waiters.push_back(party);
  }
}

// From the file itself: a static program can't ask NSS.
void name_users(std::vector<Party>& parties, const std::string& passwd) {
  for (Party& party : parties) {
    if (party.uid) party.user = parse_user_name(passwd, *party.uid);
  }
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

std::vector<FileReport> inspect(const std::vector<std::string>& paths) {
  const KernelView view = KernelView::take();
  std::vector<Subject> subjects(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    subjects[i].path = paths[i];
    look_at_file(subjects[i], view);
  }
  std::vector<Subject*> held;
  for (Subject& subject : subjects) {
    if (subject.report.state == LockState::held) held.push_back(&subject);
  }
  if (!held.empty()) {
    look_at_processes(held, view);
    const ProcessIdentity self = own_identity();
    constexpr std::size_t longest_passwd = 16 * 1024 * 1024;
    const auto passwd = sys::read_file("/etc/passwd", longest_passwd);
    for (Subject* subject : held) {
      add_holders(*subject, self);
      add_waiters(*subject);
      if (!passwd) continue;
      name_users(subject->report.holders, *passwd);
      name_users(subject->report.waiters, *passwd);
    }
  }
  std::vector<FileReport> reports;
  for (Subject& subject : subjects) reports.push_back(std::move(subject.report));
  return reports;
}

}  // namespace grex::core
