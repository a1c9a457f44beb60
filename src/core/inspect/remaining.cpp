#include "core/inspect/remaining.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include "base/deadline.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/proc_locks.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/reaper.hpp"

namespace grex::core {
namespace {

constexpr std::chrono::milliseconds time_to_end(100);

bool has_lock(const sys::OpenDescriptor& descriptor, const std::vector<HeldLock>& locks) {
  const bool is_ours = std::any_of(locks.begin(), locks.end(),
                                   [&descriptor](const HeldLock& lock) { return lock.file() == descriptor.file; });
  if (!is_ours) return false;
  const auto info = sys::descriptor_info(descriptor);
  return !info || !parse_lock_table(*info).empty();
}

constexpr int max_depth = 64;  // of parents: also ends a cycle, if processes come and go

bool is_our_ancestor(pid_t pid) {
  std::optional<pid_t> ancestor = sys::parent_pid();
  for (int i = 0; i < max_depth && ancestor.value_or(0) > 0; ++i) {
    if (ancestor == pid) return true;
    ancestor = sys::parse_parent(sys::process_file(*ancestor, "stat").value_or(""));
  }
  return false;
}

// Whether a process that can't be read may have inherited the locks: a descendant of the
// command started after us, and so did those above it, up to the process that adopts
// orphans. What can't be known counts as a yes.
bool may_descend_from_us(pid_t pid) {
  if (is_our_ancestor(pid)) return false;  // its start time may equal ours
  const auto we_started = sys::parse_start_time(sys::process_file(sys::own_process, "stat").value_or(""));
  std::optional<pid_t> adopter;
  for (int i = 0; i < max_depth; ++i) {
    const std::string stat = sys::process_file(pid, "stat").value_or("");
    const auto started = sys::parse_start_time(stat);
    const auto parent = sys::parse_parent(stat);
    if (!we_started || !started || !parent) return true;
    if (*started < *we_started) return false;
    if (!adopter) adopter = sys::adopter_of_orphans();
    if (!adopter || *parent == *adopter) return true;
    pid = *parent;
  }
  return true;
}

bool may_have_lock(pid_t pid, const std::vector<HeldLock>& locks) {
  const bool has_no_main_thread = sys::has_ended(sys::process_file(pid, "stat").value_or(""));
  if (has_no_main_thread && sys::thread_count(pid).value_or(0) <= 1) return false;
  const auto descriptors = sys::descriptors_of(pid);
  if (descriptors && !has_no_main_thread) {
    return std::any_of(descriptors->begin(), descriptors->end(),
                       [&locks](const sys::OpenDescriptor& open) { return has_lock(open, locks); });
  }
  return sys::existence_of(pid) == sys::Existence::exists && may_descend_from_us(pid);
}

std::vector<pid_t> find_remaining(const std::vector<HeldLock>& locks, pid_t session) {
  std::vector<pid_t> found = sys::processes();
  const pid_t self = sys::own_pid();
  std::erase_if(found, [&](pid_t pid) {
    return pid == self || !sys::may_be_in_session(pid, session) || !may_have_lock(pid, locks);
  });
  return found;
}

void wait_for_ends(const std::vector<pid_t>& pids, Deadline deadline) {
  for (const pid_t pid : pids) {
    if (const auto process = sys::open_process(pid)) sys::wait_for_end(process->get(), deadline);
  }
}

std::vector<LockProcess> describe(const std::vector<pid_t>& pids, sys::Mode mode) {
  std::vector<LockProcess> processes(pids.size());
  std::transform(pids.begin(), pids.end(), processes.begin(), [mode](pid_t pid) { return fd_holder(pid, mode); });
  std::vector<LockProcess*> unnamed(pids.size());
  std::transform(processes.begin(), processes.end(), unnamed.begin(), [](LockProcess& process) { return &process; });
  fill_in_user_names(unnamed);
  return processes;
}

}  // namespace

std::vector<LockProcess> remaining_processes(const std::vector<HeldLock>& locks, pid_t session) {
  if (locks.empty()) return {};
  const Deadline deadline = Deadline::clock::now() + time_to_end;
  for (;;) {
    const std::vector<pid_t> found = find_remaining(locks, session);
    if (found.empty() || Deadline::clock::now() >= deadline) return describe(found, locks.front().mode());
    wait_for_ends(found, deadline);
  }
}

}  // namespace grex::core
