#include "core/inspect/holders.hpp"

#include <algorithm>

#include "core/inspect/process_numbers.hpp"
#include "core/inspect/record_writer.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"

namespace grex::core {
namespace {

void describe_process(LockProcess& process) {
  const pid_t pid = process.pid.value();
  process.uid = sys::owner_of(pid);
  process.command = sys::parse_command_line(sys::command_line_text(pid).value_or(""));
  process.cwd = sys::process_link(pid, "cwd").value_or("");
  process.host = sys::host_name();
}

// The kernel does not list a waiter while it is stopped.
void describe_holder(LockProcess& process) {
  describe_process(process);
  process.is_stopped = sys::is_stopped_by_signal(sys::process_file(*process.pid, "stat").value_or(""));
}

// What runs under the lock that `grex-lock run` took, if its arguments say so.
std::vector<std::string> command_under(std::vector<std::string> command) {
  const auto separator = std::find(command.begin(), command.end(), "--");
  if (separator != command.end() && separator + 1 != command.end()) command.erase(command.begin(), separator + 1);
  return command;
}

// The record has only the name of the program; the kernel has the whole command, if the
// process is visible.
void describe_by(LockProcess& process, const Record& record) {
  if (!process.uid) process.uid = record.uid;
  if (process.command.empty()) {
    process.command = record.command;
  } else if (record.verb == "run") {
    process.command = command_under(std::move(process.command));
  }
  if (process.cwd.empty()) process.cwd = record.cwd;
  process.since = record.since;
  process.host = record.writer.host;
  process.note = record.note;
  process.verb = record.verb;
}

void describe_watched(LockProcess& process, const WatchedPid& watched_pid) {
  if (!watched_pid || process.alive != true) return;
  const auto pid = watched_by(*process.pid, process.command, watched_pid);
  if (pid) process.watched = {*pid, sys::parse_command_line(sys::command_line_text(*pid).value_or(""))};
}

bool has_lock_open(const InspectedFile& inspected, pid_t pid) {
  return std::any_of(inspected.holding.begin(), inspected.holding.end(),
                     [pid](const sys::OpenDescriptor& open) { return open.pid == pid; });
}

bool is_gone(pid_t pid) {
  const Presence presence = presence_of(pid, Numbering::in_proc);
  return presence == Presence::gone || presence == Presence::zombie;
}

bool has_inheritor_in(const InspectedFile& inspected, const std::string& pid_ns, const StopToken& should_stop) {
  const StopToken is_enough = after_first_few(should_stop);
  return std::any_of(inspected.holding.begin(), inspected.holding.end(), [&](const sys::OpenDescriptor& open) {
    return !is_enough() && sys::process_link(open.pid, "ns/pid") == pid_ns;
  });
}

// Whether the record's writer took the lock that the kernel lists for this acquirer.
bool took_lock(const InspectedFile& inspected, const Record& record, pid_t acquirer, const ProcessIdentity& self,
               const StopToken& should_stop) {
  const Match match = is_writer(record, acquirer);
  if (match == Match::yes) return true;
  // A writer of another namespace that is gone, and its number there with it: the
  // processes that inherited its lock are in that namespace, too.
  if (!record.writer.pid_ns.empty() && record.writer.pid_ns != self.pid_ns)
    return match == Match::unknown && has_inheritor_in(inspected, record.writer.pid_ns, should_stop);
  // If it is gone, only its number is left.
  return acquirer == record.writer.pid && match == Match::unknown;
}

// A record is valid if the lock that its writer took is still held. `writer` becomes the
// writer's number here, if the kernel shows one.
RecordState judge_record(const InspectedFile& inspected, const SearchedProcesses& searched, const ProcessIdentity& self,
                         const StopToken& should_stop, std::optional<pid_t>& writer) {
  if (!inspected.record) return inspected.report.record;
  const Record& record = *inspected.record;
  if (inspected.report.mode == sys::Mode::shared) return RecordState::stale;
  const bool other_host = record.writer.host != self.host;
  // A record has none as long as the command is short.
  const bool other_boot = !record.writer.boot_id.empty() && record.writer.boot_id != self.boot_id;
  if (!other_host && other_boot) return RecordState::stale;

  bool acquirer_is_known = false;
  for (const KernelLock& lock : inspected.locks) {
    if (!is_holder(lock) || lock.pid <= 0) continue;
    acquirer_is_known = true;
    if (!took_lock(inspected, record, lock.pid, self, should_stop)) continue;
    writer = lock.pid;
    return RecordState::valid;
  }
  if (acquirer_is_known) return RecordState::stale;
  // Held, but by no process with a number here. A writer of our own namespace would have
  // one, so it is gone, and processes that inherited its lock would be visible.
  const bool of_our_namespace = !other_host && record.writer.pid_ns == self.pid_ns;
  const bool has_inheritors = !inspected.holding.empty() || !searched.unreadable.empty();
  return of_our_namespace && !has_inheritors ? RecordState::stale : RecordState::valid;
}

// What is known without a look at the process.
LockProcess undescribed_acquirer(const KernelLock& lock) {
  LockProcess process;
  process.role = Role::acquirer;
  process.mode = lock.mode;
  if (lock.pid > 0) process.pid = lock.pid;
  return process;
}

LockProcess undescribed_fd_holder(pid_t pid, std::optional<sys::Mode> mode) {
  LockProcess process;
  process.pid = pid;
  process.alive = true;
  process.mode = mode;
  return process;
}

LockProcess acquirer_from(const InspectedFile& inspected, const SearchedProcesses& searched, const KernelLock& lock,
                          std::optional<pid_t> writer, const WatchedPid& watched_pid) {
  LockProcess process = undescribed_acquirer(lock);
  if (!process.pid) return process;
  if (has_lock_open(inspected, lock.pid)) {
    process.alive = true;
  } else if (is_gone(lock.pid)) {
    process.alive = false;
  } else if (searched.readable.contains(lock.pid)) {
    // It got the number later, or has closed its copy: whatever the record says, it
    // doesn't hold the lock.
    process.alive = false;
    return process;
  } else if (writer == lock.pid && is_writer(*inspected.record, lock.pid) == Match::yes) {
    process.alive = true;
  }
  if (process.alive.value_or(searched.unreadable.contains(lock.pid))) {
    describe_holder(process);
    describe_watched(process, watched_pid);
  }
  if (writer == lock.pid) describe_by(process, *inspected.record);
  return process;
}

// The writer of a valid record, if the kernel shows no acquirer.
LockProcess acquirer_from(const Record& record, std::optional<sys::Mode> mode, const ProcessIdentity& self) {
  LockProcess process;
  process.role = Role::acquirer;
  process.mode = mode;
  describe_by(process, record);
  const bool other_host = record.writer.host != self.host;
  // A number of another namespace would name an unrelated process here.
  if (other_host || record.writer.pid_ns == self.pid_ns) process.pid = record.writer.pid;
  if (!other_host && process.pid && is_gone(*process.pid)) process.alive = false;
  return process;
}

void add_holders(InspectedFile& inspected, const SearchedProcesses& searched, const ProcessIdentity& self,
                 const HolderSearch& search) {
  const StopToken& should_stop = search.should_stop;
  std::optional<pid_t> writer;
  inspected.report.record = judge_record(inspected, searched, self, should_stop, writer);
  // The search had time for a few of them, which need not come first in the list.
  const StopToken enough_seen = after_first_few(should_stop);
  const StopToken enough_others = after_first_few(should_stop);
  auto& holders = inspected.report.holders;
  const auto is_listed = [&holders](pid_t pid) {
    return std::any_of(holders.begin(), holders.end(),
                       [pid](const LockProcess& process) { return process.pid == pid; });
  };
  for (const KernelLock& lock : inspected.locks) {
    if (!is_holder(lock) || lock.pid <= 0 || is_listed(lock.pid)) continue;
    const StopToken& is_enough = has_lock_open(inspected, lock.pid) ? enough_seen : enough_others;
    holders.push_back(is_enough() ? undescribed_acquirer(lock)
                                  : acquirer_from(inspected, searched, lock, writer, search.watched_pid));
  }
  if (holders.empty() && inspected.report.record == RecordState::valid) {
    holders.push_back(acquirer_from(*inspected.record, inspected.report.mode, self));
  }
  for (const sys::OpenDescriptor& open : inspected.holding) {
    if (is_listed(open.pid)) continue;
    const auto mode = inspected.report.mode;
    holders.push_back(enough_seen() ? undescribed_fd_holder(open.pid, mode) : fd_holder(open.pid, mode));
  }
}

// A process that inherited the lock is shown below the holder that it descends from.
void find_parents(std::vector<LockProcess>& holders, const StopToken& should_stop) {
  std::set<pid_t> alive;
  for (const LockProcess& holder : holders) {
    if (holder.pid && holder.alive == true) alive.insert(*holder.pid);
  }
  const StopToken is_enough = after_first_few(should_stop);
  for (LockProcess& holder : holders) {
    if (!holder.pid || holder.alive != true) continue;
    if (is_enough()) return;
    const std::vector<pid_t> above = ancestors(*holder.pid);
    const auto is_alive = [&alive](pid_t pid) { return alive.contains(pid); };
    const auto found = std::find_if(above.begin(), above.end(), is_alive);
    if (found != above.end()) holder.parent = *found;
  }
}

LockProcess undescribed_waiter(pid_t pid) {
  LockProcess process;
  process.role = Role::waiter;
  if (pid <= 0) return process;
  process.pid = pid;
  process.alive = true;  // a waiter that ends leaves the queue
  return process;
}

void add_waiters(InspectedFile& inspected, const StopToken& should_stop) {
  for (const KernelLock& lock : inspected.locks) {
    if (is_holder(lock)) continue;
    LockProcess process = should_stop() ? undescribed_waiter(lock.pid) : waiting_process(lock.pid);
    process.mode = lock.mode;
    inspected.report.waiters.push_back(std::move(process));
  }
}

}  // namespace

LockProcess fd_holder(pid_t pid, std::optional<sys::Mode> mode) {
  LockProcess process = undescribed_fd_holder(pid, mode);
  describe_holder(process);
  return process;
}

LockProcess waiting_process(pid_t pid) {
  LockProcess process = undescribed_waiter(pid);
  if (process.pid) describe_process(process);
  return process;
}

LastHolder last_holder(const Record& record) {
  LockProcess process;
  process.role = Role::acquirer;
  process.pid = record.writer.pid;
  describe_by(process, record);
  return {std::move(process), *record.release};
}

void fill_in_user_names(const std::vector<LockProcess*>& processes) {
  if (processes.empty()) return;
  const std::string passwd = sys::passwd_text();
  for (LockProcess* process : processes) {
    if (process->uid) process->user = sys::parse_user_name(passwd, *process->uid);
  }
}

void fill_in_processes(InspectedFile& inspected, const SearchedProcesses& searched, const ProcessIdentity& self,
                       const HolderSearch& search) {
  add_holders(inspected, searched, self, search);
  find_parents(inspected.report.holders, search.should_stop);
  add_waiters(inspected, search.should_stop);
}

}  // namespace grex::core
