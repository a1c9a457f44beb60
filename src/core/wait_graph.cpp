#include "core/wait_graph.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "core/deadlock.hpp"
#include "core/kernel_view.hpp"
#include "core/parties.hpp"
#include "core/process_text.hpp"
#include "core/tier_stack.hpp"
#include "sys/proc.hpp"

namespace grex::core {
namespace {

struct Look {
  std::vector<WaitingProcess> processes;
  std::map<Link, std::string> names;  // of what is waited for
};

// The locks that a process's ancestors have taken for it, by its environment's
// word and the kernel's.
void add_inherited(WaitingProcess& process, const KernelView& view) {
  const std::string environment = sys::process_environment(process.pid).value_or("");
  const auto stack = parse_tier_stack(parse_variable(environment, stack_variable).value_or(""));
  if (!stack) return;
  for (const StackEntry& entry : *stack) {
    const auto locks = view.on(entry.file);
    const auto took_it = [&entry](const KernelLock& lock) { return is_holder(lock) && lock.pid == entry.pid; };
    if (std::any_of(locks.begin(), locks.end(), took_it)) process.holds.push_back(entry.file);
  }
}

// What it has open: the locks that it holds, and the names of those that it
// waits for.
void look_at_descriptors(WaitingProcess& process, std::map<Link, std::string>& names) {
  const auto descriptors = sys::descriptors_of(process.pid);
  if (!descriptors) return;
  const auto& wanted = process.waits_for;
  for (const sys::OpenDescriptor& open : *descriptors) {
    for (const KernelLock& lock : parse_lock_table(sys::descriptor_info(open).value_or(""))) {
      process.holds.push_back(lock.file);
    }
    if (std::find(wanted.begin(), wanted.end(), open.file) == wanted.end()) continue;
    names.emplace(Link{process.pid, open.file}, sys::path_of(open));
  }
}

Look look() {
  const KernelView view = KernelView::take();
  std::map<pid_t, WaitingProcess> waiting;
  for (const KernelLock& lock : view.all()) {
    if (is_holder(lock) || lock.pid <= 0) continue;
    WaitingProcess& process = waiting[lock.pid];
    process.pid = lock.pid;
    process.waits_for.push_back(lock.file);
  }
  for (const KernelLock& lock : view.all()) {
    const auto found = is_holder(lock) ? waiting.find(lock.pid) : waiting.end();
    if (found != waiting.end()) found->second.holds.push_back(lock.file);
  }
  Look seen;
  for (auto& [pid, process] : waiting) {
    look_at_descriptors(process, seen.names);
    add_inherited(process, view);
    seen.processes.push_back(std::move(process));
  }
  return seen;
}

bool concerns(const Deadlock& deadlock, const std::vector<pid_t>& pids) {
  return std::any_of(pids.begin(), pids.end(), [&deadlock](pid_t pid) {
    return std::binary_search(deadlock.stuck.begin(), deadlock.stuck.end(), pid);
  });
}

}  // namespace

std::vector<DeadlockReport> deadlocks_of(const std::vector<pid_t>& concerned) {
  std::vector<DeadlockReport> reports;
  const std::vector<Deadlock> suspected = find_deadlocks(look().processes);
  if (suspected.empty()) return reports;
  const Look again = look();
  for (const Deadlock& deadlock : find_deadlocks(again.processes)) {
    const auto is_it = [&deadlock](const Deadlock& other) { return other.circle == deadlock.circle; };
    if (std::none_of(suspected.begin(), suspected.end(), is_it) || !concerns(deadlock, concerned)) continue;
    DeadlockReport report;
    for (const Link& link : deadlock.circle) {
      const auto name = again.names.find(link);
      report.push_back({waiting_party(link.pid), name == again.names.end() ? "" : name->second});
    }
    reports.push_back(std::move(report));
  }
  std::vector<Party*> parties;
  for (DeadlockReport& report : reports) {
    for (StuckProcess& process : report) parties.push_back(&process.party);
  }
  name_users(parties);
  return reports;
}

}  // namespace grex::core
