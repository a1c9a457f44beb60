#include "core/inspect/wait_graph.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "core/inspect/deadlock.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"

namespace grex::core {
namespace {

struct WaitGraph {
  std::vector<WaitingProcess> processes;
  std::map<Link, std::string> names;  // of the files that are waited for
};

// The kernel lists several files by the same number, if they differ in st_dev only. Where
// descriptors can be read, a lock is therefore identified by st_dev and inode.

// Adds the locks that a process's ancestors have taken for it, if its environment and
// the kernel agree. The kernel may have other device numbers.
void add_inherited(WaitingProcess& process, const KernelView& view) {
  const std::string environment = sys::environment_text(process.pid).value_or("");
  const auto stack = parse_tier_stack(sys::parse_variable(environment, stack_variable).value_or(""));
  if (!stack) return;
  for (const StackEntry& entry : *stack) {
    const auto is_it = [&entry](const KernelLock& lock) {
      return is_holder(lock) && lock.file.ino == entry.file.ino && lock.pid == entry.pid;
    };
    if (std::any_of(view.all().begin(), view.all().end(), is_it)) process.holds.push_back(entry.file);
  }
}

// Read only if it is needed, and then once.
class MountTable {
 public:
  const std::vector<Mount>& get() {
    if (!mounts_) mounts_ = visible_mounts();
    return *mounts_;
  }

 private:
  std::optional<std::vector<Mount>> mounts_;
};

struct OpenFile {
  sys::FileId file;
  bool has_lock = false;
  std::string info;  // the lines of fdinfo
};

// The files for which the kernel lists these waits of a process. If none of its files has
// the very number, it is any with that inode, except one that the process has locked.
std::vector<sys::FileId> awaited_files(const std::vector<sys::FileId>& listed, const std::vector<OpenFile>& files,
                                       MountTable& mounts) {
  std::vector<sys::FileId> awaited;
  for (const sys::FileId number : listed) {
    const auto is_listed = [number](const OpenFile& open) { return open.file == number; };
    const std::size_t before = awaited.size();
    if (std::none_of(files.begin(), files.end(), is_listed)) {
      for (const OpenFile& open : files) {
        if (open.file.ino != number.ino || open.has_lock) continue;
        if (may_be_on(number.dev, open.file.dev, open.info, mounts.get())) awaited.push_back(open.file);
      }
    }
    if (awaited.size() == before) awaited.push_back(number);
  }
  return awaited;
}

// Reads, from its descriptors, the locks that a process holds, and which files it waits
// for. The process that the kernel lists for a lock may have closed it since, or be
// another one by now, so that counts only if the descriptors may not be read.
void inspect_descriptors(WaitingProcess& process, const KernelView& view, MountTable& mounts,
                         std::map<Link, std::string>& names, const StopToken& should_stop) {
  const auto descriptors = sys::descriptors_of(process.pid, should_stop);
  if (!descriptors) {
    for (const KernelLock& lock : view.all()) {
      if (is_holder(lock) && lock.pid == process.pid) process.holds.push_back(lock.file);
    }
    return;
  }
  std::vector<OpenFile> files;
  for (const sys::OpenDescriptor& open : *descriptors) {
    std::string info = sys::descriptor_info(open).value_or("");
    const bool has_lock = !parse_lock_table(info).empty();
    if (has_lock) process.holds.push_back(open.file);
    files.push_back({open.file, has_lock, std::move(info)});
  }
  process.waits_for = awaited_files(process.waits_for, files, mounts);
  for (const sys::OpenDescriptor& open : *descriptors) {
    const auto& awaited = process.waits_for;
    if (std::find(awaited.begin(), awaited.end(), open.file) == awaited.end()) continue;
    names.emplace(Link{process.pid, open.file}, sys::path_of(open).value_or(""));
  }
}

// Whether the process has no running thread that could release a lock. In grex-lock,
// threads that don't wait for a lock only watch.
bool is_blocked(const WaitingProcess& process) {
  const auto threads = sys::thread_count(process.pid);
  if (threads && *threads <= process.waits_for.size()) return true;
  return sys::parse_command_name(sys::process_file(process.pid, "stat").value_or("")) == "grex-lock";
}

// Empty if it should stop: then nothing is known.
WaitGraph read_wait_graph(const StopToken& should_stop) {
  const KernelView view = KernelView::take_stable(should_stop);
  if (view.is_cut()) return {};
  std::map<pid_t, WaitingProcess> waiting;
  for (const KernelLock& lock : view.all()) {
    if (is_holder(lock) || lock.pid <= 0) continue;
    WaitingProcess& process = waiting[lock.pid];
    process.pid = lock.pid;
    // Counted twice, the wait of one thread would seem to be that of another, too.
    const auto& waits = process.waits_for;
    if (view.may_repeat() && std::find(waits.begin(), waits.end(), lock.file) != waits.end()) continue;
    process.waits_for.push_back(lock.file);
  }
  WaitGraph graph;
  MountTable mounts;
  for (auto& [pid, process] : waiting) {
    if (should_stop()) return {};
    if (!is_blocked(process)) continue;
    inspect_descriptors(process, view, mounts, graph.names, should_stop);
    add_inherited(process, view);
    graph.processes.push_back(std::move(process));
  }
  return graph;
}

// The context switches of each process of a cycle. While a process only waits, their
// number doesn't change.
std::vector<std::string> switch_counts(const Cycle& cycle) {
  std::vector<std::string> switches;
  for (const Link& link : cycle) {
    const std::string status = sys::process_file(link.pid, "status").value_or("");
    const auto counts = status.find("voluntary_ctxt_switches:");
    switches.push_back(counts == std::string::npos ? "" : status.substr(counts));
  }
  return switches;
}

// A deadlock that was seen once, and how often its processes had run by then.
struct Candidate {
  Cycle cycle;
  std::vector<std::string> switches;
};

std::vector<Candidate> find_candidates(const StopToken& should_stop) {
  std::vector<Candidate> candidates;
  for (Deadlock& deadlock : find_deadlocks(read_wait_graph(should_stop).processes)) {
    std::vector<std::string> switches = switch_counts(deadlock.cycle);
    candidates.push_back({std::move(deadlock.cycle), std::move(switches)});
  }
  return candidates;
}

bool concerns(const Deadlock& deadlock, const std::vector<pid_t>& pids) {
  return std::any_of(pids.begin(), pids.end(), [&deadlock](pid_t pid) {
    return std::binary_search(deadlock.stuck.begin(), deadlock.stuck.end(), pid);
  });
}

}  // namespace

std::vector<DeadlockReport> deadlocks_of(const std::vector<pid_t>& concerned, const StopToken& should_stop) {
  std::vector<DeadlockReport> reports;
  const std::vector<Candidate> candidates = find_candidates(should_stop);
  if (candidates.empty()) return reports;
  const WaitGraph again = read_wait_graph(should_stop);
  for (const Deadlock& deadlock : find_deadlocks(again.processes)) {
    // Reading the graph takes time. If none of the processes has run since the first
    // read, they all waited at one moment.
    const auto is_confirmed = [&deadlock, switches = switch_counts(deadlock.cycle)](const Candidate& candidate) {
      return candidate.cycle == deadlock.cycle && candidate.switches == switches;
    };
    if (std::none_of(candidates.begin(), candidates.end(), is_confirmed) || !concerns(deadlock, concerned)) continue;
    DeadlockReport report;
    for (const Link& link : deadlock.cycle) {
      const auto name = again.names.find(link);
      report.push_back({waiting_process(link.pid), name == again.names.end() ? "" : name->second});
    }
    reports.push_back(std::move(report));
  }
  std::vector<LockProcess*> processes;
  for (DeadlockReport& report : reports) {
    for (StuckProcess& stuck : report) processes.push_back(&stuck.process);
  }
  fill_in_user_names(processes);
  return reports;
}

}  // namespace grex::core
