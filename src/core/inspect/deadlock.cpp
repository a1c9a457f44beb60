#include "core/inspect/deadlock.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>

namespace grex::core {
namespace {

using Index = std::size_t;
using Indices = std::vector<Index>;
using Flags = std::vector<bool>;

// One kind of edge between processes and locks (waits or holds), in both directions.
struct Edges {
  std::vector<Indices> of_process;  // the locks
  std::vector<Indices> of_lock;     // the processes

  void add(Index process, Index lock) {
    of_process[process].push_back(lock);
    of_lock[lock].push_back(process);
  }
};

// Processes and locks are numbered by their index here, processes by ascending pid.
struct Graph {
  std::vector<const WaitingProcess*> processes;
  std::vector<sys::FileId> locks;
  Edges waits;
  Edges holds;

  explicit Graph(const std::vector<WaitingProcess>& given) {
    for (const WaitingProcess& process : given) processes.push_back(&process);
    std::sort(processes.begin(), processes.end(), [](const auto* a, const auto* b) { return a->pid < b->pid; });
    std::map<sys::FileId, Index> places;
    const auto place_of = [&](sys::FileId lock) {
      const auto [at, is_new] = places.emplace(lock, locks.size());
      if (is_new) {
        locks.push_back(lock);
        waits.of_lock.emplace_back();
        holds.of_lock.emplace_back();
      }
      return at->second;
    };
    waits.of_process.resize(given.size());
    holds.of_process.resize(given.size());
    for (Index process = 0; process < processes.size(); ++process) {
      for (const sys::FileId lock : processes[process]->waits_for) waits.add(process, place_of(lock));
      for (const sys::FileId lock : processes[process]->holds) holds.add(process, place_of(lock));
    }
  }
};

enum class Needs { any_lock, every_lock };

// Removes each process from `left` unless any (or every one) of its locks on the `near`
// side has a process on the `far` side that is left. Repeats this, since a process that
// is removed may be the one that kept another.
void prune(Flags& left, const Edges& near, const Edges& far, Needs needs) {
  std::vector<Index> others(far.of_lock.size());  // for each lock, how many are left
  for (Index lock = 0; lock < others.size(); ++lock) {
    const auto& processes = far.of_lock[lock];
    others[lock] = static_cast<Index>(
        std::count_if(processes.begin(), processes.end(), [&left](Index process) { return left[process]; }));
  }
  const auto must_go = [&](Index process) {
    const auto& locks = near.of_process[process];
    const auto is_kept_at = [&others](Index lock) { return others[lock] > 0; };
    return needs == Needs::any_lock ? std::none_of(locks.begin(), locks.end(), is_kept_at)
                                    : !std::all_of(locks.begin(), locks.end(), is_kept_at);
  };
  Indices removed;
  const auto check = [&](Index process) {
    if (!left[process] || !must_go(process)) return;
    left[process] = false;
    removed.push_back(process);
  };
  for (Index process = 0; process < left.size(); ++process) check(process);
  while (!removed.empty()) {
    const Index gone = removed.back();
    removed.pop_back();
    for (const Index lock : far.of_process[gone]) {
      if (--others[lock] > 0) continue;
      for (const Index process : near.of_lock[lock]) check(process);
    }
  }
}

// From which process, and over which lock, a process was reached.
struct Step {
  Index from = 0;
  Index lock = 0;
};
using Steps = std::vector<std::optional<Step>>;

// The shortest paths from one process over locks to all others that are allowed, and back
// to itself.
Steps shortest_paths(Index start, const Edges& out, const Edges& in, const Flags& allowed) {
  Steps steps(allowed.size());
  Flags passed(out.of_lock.size());
  Indices next = {start};
  for (Index at = 0; at < next.size(); ++at) {
    for (const Index lock : out.of_process[next[at]]) {
      if (passed[lock]) continue;
      passed[lock] = true;
      for (const Index process : in.of_lock[lock]) {
        if (!allowed[process] || steps[process]) continue;
        steps[process] = Step{next[at], lock};
        if (process != start) next.push_back(process);
      }
    }
  }
  return steps;
}

Cycle cycle_through(Index start, const Steps& steps, const Graph& graph) {
  Cycle cycle;
  Index at = start;
  do {
    const Step& step = steps[at].value();
    cycle.push_back({graph.processes[step.from]->pid, graph.locks[step.lock]});
    at = step.from;
  } while (at != start);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

}  // namespace

std::vector<Deadlock> find_deadlocks(const std::vector<WaitingProcess>& processes) {
  const Graph graph(processes);
  Flags stuck(processes.size(), true);
  prune(stuck, graph.waits, graph.holds, Needs::every_lock);
  // A process that no other waits for is in no cycle.
  Flags left = stuck;
  prune(left, graph.holds, graph.waits, Needs::any_lock);

  std::vector<Deadlock> deadlocks;
  for (Index start = 0; start < left.size(); ++start) {
    if (!left[start]) continue;
    const Steps ahead = shortest_paths(start, graph.waits, graph.holds, stuck);
    left[start] = false;
    if (!ahead[start]) continue;
    Deadlock& deadlock = deadlocks.emplace_back(Deadlock{cycle_through(start, ahead, graph), {}});
    const Steps behind = shortest_paths(start, graph.holds, graph.waits, stuck);
    for (Index process = 0; process < behind.size(); ++process) {
      if (!behind[process]) continue;
      deadlock.stuck.push_back(graph.processes[process]->pid);
      if (ahead[process]) left[process] = false;  // in a cycle with it
    }
  }
  return deadlocks;
}

}  // namespace grex::core
