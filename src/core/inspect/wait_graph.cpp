#include "core/inspect/wait_graph.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "core/inspect/ancestor_lock.hpp"
#include "core/inspect/deadlock.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/process_numbers.hpp"
#include "core/inspect/waiting_descendants.hpp"
#include "core/lock/tier_stack.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"

namespace grex::core {
namespace {

struct Kept {
  sys::FileId file;
  pid_t hold = 0;
  pid_t watched = 0;
};

struct WaitGraph {
  std::vector<WaitingProcess> processes;
  std::map<Link, Kept> kept;          // what a process holds by a hold
  std::map<Link, std::string> names;  // of the files that are waited for
  std::set<pid_t> hopeless;           // that wait for what is kept until they end, whatever their other threads do
};

// The kernel lists several files by the same number, if they differ in st_dev only. Where
// descriptors can be read, a lock is therefore identified by st_dev and inode.

bool is_grex_lock(pid_t pid) { return sys::command_name_of(pid) == "grex-lock"; }

// Whether a process keeps a lock that it has inherited, by its descriptor or its environment.
// If that came from a `run` that is not above it any more, the command of that has left it
// behind, and `run` unlocks when the command ends. A `hold` is above no process, and has no
// children but the keeper of a cluster's locks.
bool is_kept_by(pid_t pid, pid_t acquirer) {
  if (acquirer <= 0 || acquirer == pid || !is_grex_lock(acquirer)) return true;
  const auto above = ancestors(pid);
  const bool is_above = std::find(above.begin(), above.end(), acquirer) != above.end();
  return is_above || children_but_keepers(acquirer).empty();
}

// Empty if it can't be read, or was not written by grex-lock.
TierStack stack_of(pid_t pid) {
  const std::string environment = sys::environment_text(pid).value_or("");
  auto stack = parse_tier_stack(sys::parse_variable(environment, stack_variable).value_or(""));
  return stack ? std::move(*stack) : TierStack();
}

// Adds the locks that a process's ancestors have taken for it, if its environment and
// the kernel agree. The kernel may have other device numbers.
void add_inherited(WaitingProcess& process, const KernelView& view) {
  for (const StackEntry& entry : stack_of(process.pid)) {
    const auto is_it = [&entry](const KernelLock& lock) {
      return is_holder(lock) && lock.file.ino == entry.file.ino && lock.pid == entry.pid;
    };
    const bool is_held = std::any_of(view.all().begin(), view.all().end(), is_it);
    if (is_held && is_kept_by(process.pid, entry.pid)) process.holds.push_back(entry.file);
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

// The ancestors of processes that wait, and what those among them hold that only wait for
// their command: grex-lock and flock(1). Each is read once.
class Ancestors {
 public:
  explicit Ancestors(const KernelView& view) : view_(view) {}

  // Whether an ancestor of the process holds this file until its command has ended.
  bool keep(sys::FileId file, pid_t pid, const StopToken& should_stop) {
    const auto above = ancestors(pid);
    return std::any_of(above.begin(), above.end(), [&](pid_t ancestor) {
      const auto& files = files_of(ancestor, should_stop);
      return std::find(files.begin(), files.end(), file) != files.end();
    });
  }

 private:
  const std::vector<sys::FileId>& files_of(pid_t pid, const StopToken& should_stop) {
    const auto [at, is_new] = files_.try_emplace(pid);
    if (!is_new || !is_waiting_tool(pid)) return at->second;
    const auto descriptors = sys::descriptors_of(pid, should_stop);
    if (!descriptors) {  // another user's, so the list must do
      for (const KernelLock& lock : view_.all()) {
        if (is_holder(lock) && lock.pid == pid) at->second.push_back(lock.file);
      }
      return at->second;
    }
    at->second = files_locked_by(*descriptors);
    return at->second;
  }

  const KernelView& view_;
  std::map<pid_t, std::vector<sys::FileId>> files_;
};

// The holds that keep an awaited lock until another process ends, and so for what that waits for.
class WatchingHolds {
 public:
  WatchingHolds(const std::map<pid_t, WaitingProcess>& waiting, const KernelView& view, const WatchedPid& watched_pid,
                const StopToken& should_stop) {
    std::set<ino_t> awaited;
    for (const auto& [pid, process] : waiting) {
      for (const sys::FileId file : process.waits_for) awaited.insert(file.ino);
    }
    std::set<pid_t> holders;
    for (const KernelLock& lock : view.all()) {
      if (is_holder(lock) && lock.pid > 0 && awaited.contains(lock.file.ino)) holders.insert(lock.pid);
    }
    for (const pid_t pid : holders) {
      const bool may_be_hold = is_grex_lock(pid) && children_but_keepers(pid).empty();
      const auto watched = may_be_hold ? watched_by(pid, watched_pid) : std::nullopt;
      if (watched) add(pid, *watched, should_stop);
    }
  }

  void add_kept(WaitingProcess& process, std::map<Link, Kept>& all) const {
    if (kept_.empty()) return;
    const std::vector<pid_t> stuck = waiting_for(process.pid);
    for (const Kept& kept : kept_) {
      if (std::find(stuck.begin(), stuck.end(), kept.watched) == stuck.end()) continue;
      process.holds.push_back(kept.file);
      all.emplace(Link{process.pid, kept.file}, kept);
    }
  }

 private:
  void add(pid_t hold, pid_t watched, const StopToken& should_stop) {
    const auto descriptors = sys::descriptors_of(hold, should_stop);
    if (!descriptors) return;
    for (const sys::FileId file : files_locked_by(*descriptors)) kept_.push_back({file, hold, watched});
  }

  std::vector<Kept> kept_;
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
// another one by now, so that counts only if the descriptors may not be read. Returns the
// files whose lock it did not take itself: it has inherited the descriptor.
std::vector<sys::FileId> inspect_descriptors(WaitingProcess& process, const KernelView& view, MountTable& mounts,
                                             std::map<Link, std::string>& names, const StopToken& should_stop) {
  std::vector<sys::FileId> inherited;
  const auto descriptors = sys::descriptors_of(process.pid, should_stop);
  if (!descriptors) {
    for (const KernelLock& lock : view.all()) {
      if (is_holder(lock) && lock.pid == process.pid) process.holds.push_back(lock.file);
    }
    return inherited;
  }
  std::vector<OpenFile> files;
  for (const sys::OpenDescriptor& open : *descriptors) {
    std::string info = sys::descriptor_info(open).value_or("");
    const auto locks = parse_lock_table(info);
    const bool keeps_it = !locks.empty() && is_kept_by(process.pid, locks.front().pid);
    if (keeps_it) process.holds.push_back(open.file);
    if (keeps_it && locks.front().pid != process.pid) inherited.push_back(open.file);
    files.push_back({open.file, !locks.empty(), std::move(info)});
  }
  process.waits_for = awaited_files(process.waits_for, files, mounts);
  for (const sys::OpenDescriptor& open : *descriptors) {
    const auto& awaited = process.waits_for;
    if (std::find(awaited.begin(), awaited.end(), open.file) == awaited.end()) continue;
    names.emplace(Link{process.pid, open.file}, sys::path_of(open).value_or(""));
  }
  return inherited;
}

// Whether the process has no running thread that could release a lock. In grex-lock,
// threads that don't wait for a lock only watch.
bool is_blocked(const WaitingProcess& process) {
  const auto threads = sys::thread_count(process.pid);
  return (threads && *threads <= process.waits_for.size()) || is_grex_lock(process.pid);
}

// Adds what a process holds. If it waits for a file whose lock it has inherited, or that an
// ancestor keeps for it, only its end releases that. Then its other threads, and what they
// wait for, don't matter. Returns whether the process may be in a deadlock.
bool inspect_process(WaitingProcess& process, const KernelView& view, MountTable& mounts, Ancestors& ancestors,
                     const WatchingHolds& holds, WaitGraph& graph, const StopToken& should_stop) {
  const bool blocked = is_blocked(process);  // before its waits are matched to files
  const std::vector<sys::FileId> inherited = inspect_descriptors(process, view, mounts, graph.names, should_stop);
  std::vector<sys::FileId> kept;
  for (const sys::FileId file : process.waits_for) {
    const bool is_own = std::find(inherited.begin(), inherited.end(), file) != inherited.end();
    if (is_own || ancestors.keep(file, process.pid, should_stop)) kept.push_back(file);
  }
  if (!kept.empty()) {
    graph.hopeless.insert(process.pid);
    process.waits_for = kept;
    process.holds.insert(process.holds.end(), kept.begin(), kept.end());
  }
  if (!blocked) return !kept.empty();
  add_inherited(process, view);
  holds.add_kept(process, graph.kept);
  return true;
}

// Empty if it should stop: then nothing is known.
WaitGraph read_wait_graph(const WatchedPid& watched_pid, const StopToken& should_stop) {
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
  Ancestors ancestors(view);
  const WatchingHolds holds(waiting, view, watched_pid, should_stop);
  for (auto& [pid, process] : waiting) {
    if (should_stop()) return {};
    const bool may_be_stuck = inspect_process(process, view, mounts, ancestors, holds, graph, should_stop);
    if (may_be_stuck) graph.processes.push_back(std::move(process));
  }
  return graph;
}

// The context switches of each process of a cycle. While a process only waits, their
// number doesn't change. Of one that waits for what is kept until it ends, any thread may run.
std::vector<std::string> switch_counts(const Cycle& cycle, const std::set<pid_t>& hopeless) {
  std::vector<std::string> switches;
  for (const Link& link : cycle) {
    if (hopeless.contains(link.pid)) continue;
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

std::vector<Candidate> find_candidates(const WatchedPid& watched_pid, const StopToken& should_stop) {
  std::vector<Candidate> candidates;
  const WaitGraph graph = read_wait_graph(watched_pid, should_stop);
  for (Deadlock& deadlock : find_deadlocks(graph.processes)) {
    std::vector<std::string> switches = switch_counts(deadlock.cycle, graph.hopeless);
    candidates.push_back({std::move(deadlock.cycle), std::move(switches)});
  }
  return candidates;
}

bool is_in_stack_of(pid_t pid, pid_t hold) {
  const TierStack stack = stack_of(pid);
  return std::any_of(stack.begin(), stack.end(), [hold](const StackEntry& entry) { return entry.pid == hold; });
}

DeadlockReport report_of(const Cycle& cycle, const WaitGraph& graph) {
  DeadlockReport report;
  for (std::size_t i = 0; i < cycle.size(); ++i) {
    const Link& link = cycle[i];
    const auto name = graph.names.find(link);
    StuckProcess stuck{waiting_process(link.pid), name == graph.names.end() ? "" : name->second};
    const sys::FileId held = cycle[(i + cycle.size() - 1) % cycle.size()].lock;
    if (const auto kept = graph.kept.find({link.pid, held}); kept != graph.kept.end()) {
      const auto& [file, hold, watched] = kept->second;
      auto command = sys::parse_command_line(sys::command_line_text(watched).value_or(""));
      stuck.hold = {hold, {watched, std::move(command)}, is_in_stack_of(link.pid, hold)};
    }
    report.push_back(std::move(stuck));
  }
  return report;
}

bool concerns(const Deadlock& deadlock, const std::vector<pid_t>& pids) {
  return std::any_of(pids.begin(), pids.end(), [&deadlock](pid_t pid) {
    return std::binary_search(deadlock.stuck.begin(), deadlock.stuck.end(), pid);
  });
}

}  // namespace

std::vector<DeadlockReport> deadlocks_of(const std::vector<pid_t>& concerned, const WatchedPid& watched_pid,
                                         const StopToken& should_stop) {
  std::vector<DeadlockReport> reports;
  const std::vector<Candidate> candidates = find_candidates(watched_pid, should_stop);
  if (candidates.empty()) return reports;
  const WaitGraph again = read_wait_graph(watched_pid, should_stop);
  for (const Deadlock& deadlock : find_deadlocks(again.processes)) {
    // Reading the graph takes time. If none of the processes has run since the first
    // read, they all waited at one moment.
    const auto is_confirmed = [&deadlock,
                               switches = switch_counts(deadlock.cycle, again.hopeless)](const Candidate& candidate) {
      return candidate.cycle == deadlock.cycle && candidate.switches == switches;
    };
    if (std::none_of(candidates.begin(), candidates.end(), is_confirmed) || !concerns(deadlock, concerned)) continue;
    reports.push_back(report_of(deadlock.cycle, again));
  }
  std::vector<LockProcess*> processes;
  for (DeadlockReport& report : reports) {
    for (StuckProcess& stuck : report) processes.push_back(&stuck.process);
  }
  fill_in_user_names(processes);
  return reports;
}

}  // namespace grex::core
