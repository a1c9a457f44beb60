#include "sys/process/process_tree.hpp"

#include <algorithm>

#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::sys {

std::map<pid_t, RunningProcess> running_processes() {
  std::map<pid_t, RunningProcess> running;
  for (const pid_t pid : processes().value_or(std::vector<pid_t>())) {
    const auto stat = process_file(pid, "stat");
    const auto parent = stat ? parse_parent(*stat) : std::nullopt;
    const auto started = stat ? parse_start_time(*stat) : std::nullopt;
    if (parent && started && !has_ended(*stat)) running[pid] = {*parent, *started};
  }
  return running;
}

std::vector<NumberedProcess> descendants_of(std::span<const pid_t> roots, const std::set<NumberedProcess>& others,
                                            const std::map<pid_t, RunningProcess>& running) {
  const auto is_root = [&](pid_t pid) { return std::find(roots.begin(), roots.end(), pid) != roots.end(); };
  const auto is_below = [&](pid_t pid) {
    for (std::size_t steps = 0; steps < running.size(); ++steps) {
      const auto process = running.find(pid);
      if (process == running.end() || others.contains({pid, process->second.started})) return false;
      pid = process->second.parent;
      if (is_root(pid)) return true;
    }
    return false;
  };
  std::vector<NumberedProcess> found;
  for (const auto& [pid, process] : running) {
    if (!is_root(pid) && is_below(pid)) found.push_back({pid, process.started});
  }
  return found;
}

std::set<NumberedProcess> children_with_start(pid_t parent) {
  std::set<NumberedProcess> children;
  const auto listed = children_of(parent);
  if (!listed) {
    for (const auto& [pid, process] : running_processes()) {
      if (process.parent == parent) children.insert({pid, process.started});
    }
    return children;
  }
  for (const pid_t child : *listed) {
    const auto stat = process_file(child, "stat");
    const auto started = stat ? parse_start_time(*stat) : std::nullopt;
    if (started) children.insert({child, *started});
  }
  return children;
}

UniqueFd open_numbered(const NumberedProcess& process) {
  auto opened = open_process(process.pid);
  const auto stat = opened ? process_file(process.pid, "stat") : std::nullopt;
  return stat && parse_start_time(*stat) == process.started ? std::move(*opened) : UniqueFd();
}

}  // namespace grex::sys
