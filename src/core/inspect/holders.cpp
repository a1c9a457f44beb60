#include "core/inspect/holders.hpp"

#include <algorithm>

#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

void describe_process(Party& party) {
  const pid_t pid = party.pid.value();
  party.uid = sys::owner_of(pid);
  party.command = parse_command_line(sys::process_file(pid, "cmdline").value_or(""));
  party.cwd = sys::process_link(pid, "cwd").value_or("");
  party.host = sys::host_name();
}

void describe_by(Party& party, const Record& record) {
  if (!party.uid) party.uid = record.uid;
  party.command = record.command;
  party.cwd = record.cwd;
  party.since = record.since;
  party.host = record.writer.host;
  party.identity = record.writer;
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

bool has_lock_open(const Subject& subject, pid_t pid) {
  return std::any_of(subject.holding.begin(), subject.holding.end(),
                     [pid](const sys::OpenDescriptor& open) { return open.pid == pid; });
}

bool is_unreadable(const Subject& subject, pid_t pid) {
  return std::find(subject.unreadable.begin(), subject.unreadable.end(), pid) != subject.unreadable.end();
}

bool is_gone(pid_t pid) {
  const auto stat = sys::process_file(pid, "stat");
  return stat ? has_ended(*stat) : sys::existence_of(pid) == sys::Existence::gone;
}

bool has_heir_in(const Subject& subject, const std::string& pid_ns) {
  return std::any_of(subject.holding.begin(), subject.holding.end(), [&pid_ns](const sys::OpenDescriptor& open) {
    return sys::process_link(open.pid, "ns/pid") == pid_ns;
  });
}

// Whether the writer took the lock that the kernel says this process took.
bool took_lock(const Subject& subject, const Record& record, pid_t acquirer, const ProcessIdentity& self) {
  const Match match = is_writer(record, acquirer);
  if (match == Match::yes) return true;
  // A writer of another namespace, gone with its number there: its heirs are of that one too.
  if (record.writer.pid_ns != self.pid_ns) return match == Match::unknown && has_heir_in(subject, record.writer.pid_ns);
  if (acquirer != record.writer.pid) return false;
  if (match == Match::unknown) return true;  // gone; its number is all there is
  // A stranger who got the number later and, as can be seen, has no such lock.
  return !is_unreadable(subject, acquirer) && !has_lock_open(subject, acquirer);
}

// Valid if the lock that its writer took is still held. `writer` becomes the
// writer's number here, where the kernel shows one.
RecordState judge_record(const Subject& subject, const ProcessIdentity& self, std::optional<pid_t>& writer) {
  if (!subject.record) return subject.report.record;
  const Record& record = *subject.record;
  if (subject.report.mode == sys::Mode::shared) return RecordState::stale;
  const bool other_host = record.writer.host != self.host;
  if (!other_host && record.writer.boot_id != self.boot_id) return RecordState::stale;

  bool acquirer_is_known = false;
  for (const KernelLock& lock : subject.locks) {
    if (!is_holder(lock) || lock.pid <= 0) continue;
    acquirer_is_known = true;
    if (!took_lock(subject, record, lock.pid, self)) continue;
    writer = lock.pid;
    return RecordState::valid;
  }
  if (acquirer_is_known) return RecordState::stale;
  // Held, but by nobody with a number here. A writer of our own namespace would
  // have one, so it is gone, and its heirs would be seen.
  const bool of_our_namespace = !other_host && record.writer.pid_ns == self.pid_ns;
  const bool has_heirs = !subject.holding.empty() || !subject.unreadable.empty();
  return of_our_namespace && !has_heirs ? RecordState::stale : RecordState::valid;
}

Party acquirer_from(const Subject& subject, const KernelLock& lock, std::optional<pid_t> writer) {
  Party party;
  party.role = Role::acquirer;
  party.mode = lock.mode;
  if (lock.pid <= 0) return party;
  party.pid = lock.pid;
  if (has_lock_open(subject, lock.pid)) {
    party.alive = true;
  } else if (is_gone(lock.pid)) {
    party.alive = false;
  } else if (writer == lock.pid) {
    const Match match = is_writer(*subject.record, lock.pid);
    if (match != Match::unknown) party.alive = match == Match::yes;  // else a stranger has its number
  }
  // A process that has this number, may be looked at, and has no such lock
  // open is a stranger who got the number later, or let go of its copy.
  if (party.alive.value_or(is_unreadable(subject, lock.pid))) describe_process(party);
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
  if (!other_host && party.pid && is_gone(*party.pid)) party.alive = false;
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

// A holder's children that inherited the lock are told under it.
void find_parents(std::vector<Party>& holders) {
  constexpr int highest_tree = 64;  // and no circle, while processes come and go
  for (Party& holder : holders) {
    if (!holder.pid || holder.alive != true) continue;
    std::optional<pid_t> ancestor = *holder.pid;
    for (int i = 0; i < highest_tree && !holder.parent; ++i) {
      ancestor = parse_parent(sys::process_file(*ancestor, "stat").value_or(""));
      if (ancestor.value_or(0) <= 0) break;
      const auto is_it = [&](const Party& other) { return other.pid == ancestor && other.alive == true; };
      if (std::any_of(holders.begin(), holders.end(), is_it)) holder.parent = ancestor;
    }
  }
}

void add_waiters(Subject& subject) {
  for (const KernelLock& lock : subject.locks) {
    if (is_holder(lock)) continue;
    Party party = waiting_party(lock.pid);
    party.mode = lock.mode;
    subject.report.waiters.push_back(std::move(party));
  }
}

}  // namespace

Party waiting_party(pid_t pid) {
  Party party;
  party.role = Role::waiter;
  if (pid <= 0) return party;
  party.pid = pid;
  party.alive = true;  // a waiter that ends leaves the queue
  describe_process(party);
  return party;
}

// From the file itself: a static program can't ask NSS.
void name_users(const std::vector<Party*>& parties) {
  if (parties.empty()) return;
  constexpr std::size_t longest_passwd = 16UL * 1024 * 1024;
  const auto passwd = sys::read_file("/etc/passwd", longest_passwd);
  if (!passwd) return;
  for (Party* party : parties) {
    if (party->uid) party->user = parse_user_name(*passwd, *party->uid);
  }
}

void name_parties(Subject& subject, const ProcessIdentity& self) {
  add_holders(subject, self);
  find_parents(subject.report.holders);
  add_waiters(subject);
}

}  // namespace grex::core
