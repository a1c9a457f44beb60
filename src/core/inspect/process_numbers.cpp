#include "core/inspect/process_numbers.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

std::int64_t boot_offset_of(pid_t pid) {
  return sys::parse_boot_offset(sys::process_file(pid, "timens_offsets").value_or("")).value_or(0);
}

std::vector<pid_t> pids_of(pid_t pid) { return sys::parse_pids(sys::process_file(pid, "status").value_or("")); }

// Whether this child of a grex-lock is not its command, but came to it when its own parent had
// ended (--if-lost stop, or a cluster): the command is the oldest child.
bool is_adopted(pid_t child, pid_t parent) {
  const std::vector<pid_t> children = children_but_keepers(parent);
  return !children.empty() && std::find(children.begin() + 1, children.end(), child) != children.end();
}

}  // namespace

std::vector<pid_t> children_but_keepers(pid_t pid) {
  auto children = sys::children_of(pid).value_or(std::vector<pid_t>());
  std::erase_if(children, [](pid_t child) { return sys::command_name_of(child) == "grex-lock-etcd"; });
  return children;
}

Presence presence_of(pid_t pid, Numbering numbering) {
  // If /proc is ours, both numbers are the same.
  const auto is_one = [numbering](Numbering wanted) {
    return numbering == wanted || pids_of(sys::own_process).size() == 1;
  };
  if (is_one(Numbering::in_proc)) {
    const auto stat = sys::process_file(pid, "stat");
    if (stat) return sys::has_ended(*stat) ? Presence::zombie : Presence::running;
  }
  const bool is_gone = is_one(Numbering::here) && sys::existence_of(pid) == sys::Existence::gone;
  return is_gone ? Presence::gone : Presence::not_known;
}

std::vector<pid_t> ancestors(pid_t pid) {
  constexpr std::size_t max_depth = 256;  // also ends a cycle, if processes come and go
  std::vector<pid_t> found;
  std::string stat = sys::process_file(pid, "stat").value_or("");
  if (pid == sys::own_process) pid = sys::own_pid_in_proc().value_or(0);
  while (found.size() < max_depth) {
    const pid_t parent = sys::parse_parent(stat).value_or(0);
    if (parent <= 0) break;
    stat = sys::process_file(parent, "stat").value_or("");
    if (sys::parse_command_name(stat) == "grex-lock" && is_adopted(pid, parent)) break;
    found.push_back(parent);
    pid = parent;
  }
  return found;
}

bool is_us_or_above(pid_t pid) {
  const std::vector<pid_t> above = ancestors(sys::own_process);
  return pid == sys::own_pid_in_proc() || std::find(above.begin(), above.end(), pid) != above.end();
}

bool is_ours_or_roots(pid_t pid) {
  const auto owner = sys::owner_of(pid);
  return owner == sys::effective_uid() || owner == uid_t{0};
}

std::optional<std::int64_t> start_time_ns(pid_t pid) {
  const auto ticks = sys::parse_start_time(sys::process_file(pid, "stat").value_or(""));
  return ticks ? std::optional(static_cast<std::int64_t>(*ticks) * sys::nanoseconds_per_tick()) : std::nullopt;
}

std::int64_t boot_offset_from(pid_t pid) { return boot_offset_of(sys::own_process) - boot_offset_of(pid); }

ProcessNumbers ProcessNumbers::read() {
  ProcessNumbers numbers;
  const std::string status = sys::process_file(sys::own_process, "status").value_or("");
  numbers.depth_ = sys::parse_pids(status).size();
  numbers.sessions_ = sys::parse_sessions(status);
  if (numbers.depth_ == 0) return numbers;
  numbers.always_ = numbers.depth_ == 1 && sys::in_initial_pid_namespace();
  if (numbers.always_) return numbers;
  // The topmost process in our namespace was started from outside, with the entries that
  // came from there. Up to a tick later, a lock may have been taken before it started.
  pid_t topmost = sys::own_process;
  for (const pid_t pid : ancestors(sys::own_process)) {
    if (pids_of(pid).size() < numbers.depth_) break;
    topmost = pid;
  }
  if (const auto started = start_time_ns(topmost)) numbers.since_ = *started + sys::nanoseconds_per_tick();
  return numbers;
}

bool ProcessNumbers::are_comparable(const StackEntry& entry) const {
  return always_ || (since_ && entry.taken && std::cmp_greater_equal(*entry.taken, *since_));
}

ProcessNumbers::Membership ProcessNumbers::find_membership(pid_t in_proc, pid_t session) const {
  const auto compare = [session](pid_t its) { return its == session ? Membership::yes : Membership::no; };
  if (has_own_proc()) {  // even if hidepid hides the text
    const auto its = sys::session_of(in_proc);
    return its ? compare(*its) : Membership::not_known;
  }
  const auto sessions = sys::parse_sessions(sys::process_file(in_proc, "status").value_or(""));
  if (depth_ == 0 || sessions.empty()) return Membership::not_known;
  if (sessions.size() < depth_) return Membership::no;
  // In a namespace beside ours, another session may have the same number. Ours is known by
  // that of /proc, too.
  const bool is_ours = sessions_.size() == depth_ && sessions_.back() == session;
  if (is_ours) return sessions.front() == sessions_.front() ? Membership::yes : Membership::no;
  return compare(sessions[depth_ - 1]);
}

std::optional<pid_t> ProcessNumbers::here(pid_t in_proc) const {
  if (has_own_proc()) return in_proc;
  const std::vector<pid_t> pids = pids_of(in_proc);
  if (depth_ == 0 || pids.empty()) return std::nullopt;
  if (pids.size() < depth_) return 0;
  // As deep as ours, or deeper: it may also be in a namespace beside ours.
  const auto its = sys::process_link(in_proc, "ns/pid");
  if (!its || its != sys::process_link(sys::own_process, "ns/pid")) return std::nullopt;
  return pids.back();
}

}  // namespace grex::core
