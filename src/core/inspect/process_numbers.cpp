#include "core/inspect/process_numbers.hpp"

#include <utility>

#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

std::int64_t boot_offset_of(pid_t pid) {
  return sys::parse_boot_offset(sys::process_file(pid, "timens_offsets").value_or("")).value_or(0);
}

}  // namespace

std::vector<pid_t> ancestors() {
  constexpr std::size_t max_depth = 256;  // also ends a cycle, if processes come and go
  std::vector<pid_t> found;
  pid_t pid = sys::own_process;
  while (found.size() < max_depth) {
    pid = sys::parse_parent(sys::process_file(pid, "stat").value_or("")).value_or(0);
    if (pid <= 0) break;
    found.push_back(pid);
  }
  return found;
}

std::optional<std::int64_t> start_time_ns(pid_t pid) {
  const auto ticks = sys::parse_start_time(sys::process_file(pid, "stat").value_or(""));
  return ticks ? std::optional(static_cast<std::int64_t>(*ticks) * sys::nanoseconds_per_tick()) : std::nullopt;
}

std::int64_t boot_offset_from(pid_t pid) { return boot_offset_of(sys::own_process) - boot_offset_of(pid); }

ProcessNumbers ProcessNumbers::read() {
  ProcessNumbers numbers;
  // More than one number: /proc belongs to a PID namespace outside ours.
  const auto own_numbers = sys::count_pids(sys::process_file(sys::own_process, "status").value_or(""));
  if (own_numbers != 1U) return numbers;
  numbers.always_ = sys::in_initial_pid_namespace();
  if (numbers.always_) return numbers;
  // The topmost process here was started from outside, with the entries that came from
  // there. Up to a tick later, a lock may have been taken before it started.
  const std::vector<pid_t> above = ancestors();
  const auto started = start_time_ns(above.empty() ? sys::own_process : above.back());
  if (started) numbers.since_ = *started + sys::nanoseconds_per_tick();
  return numbers;
}

bool ProcessNumbers::are_comparable(const StackEntry& entry) const {
  return always_ || (since_ && entry.taken && std::cmp_greater_equal(*entry.taken, *since_));
}

}  // namespace grex::core
