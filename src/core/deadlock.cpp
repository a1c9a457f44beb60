#include "core/deadlock.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

namespace grex::core {
namespace {

// Who waits for whom among those who are stuck.
class StuckGraph {
 public:
  explicit StuckGraph(const std::vector<WaitingProcess>& processes) {
    for (const WaitingProcess& process : processes) stuck_.emplace(process.pid, &process);
    for (const WaitingProcess& process : processes) {
      for (const sys::FileId lock : process.holds) holders_[lock].insert(process.pid);
    }
    while (remove_those_who_go_on()) {
    }
  }

  [[nodiscard]] std::vector<pid_t> processes() const {
    std::vector<pid_t> pids;
    for (const auto& [pid, process] : stuck_) pids.push_back(pid);
    return pids;
  }

  // The shortest way from a process back to itself; empty if there is none.
  [[nodiscard]] Circle circle_through(pid_t start) const {
    std::map<pid_t, Link> came_by;  // whoever was reached, by whom and over which lock
    std::deque<pid_t> next = {start};
    while (!next.empty() && !came_by.contains(start)) {
      const pid_t pid = next.front();
      next.pop_front();
      for_each_awaited(pid, [&](pid_t holder, sys::FileId lock) {
        if (came_by.emplace(holder, Link{pid, lock}).second) next.push_back(holder);
      });
    }
    Circle circle;
    if (!came_by.contains(start)) return circle;
    Link link = came_by.at(start);
    for (circle.push_back(link); link.pid != start; circle.push_back(link)) link = came_by.at(link.pid);
    std::reverse(circle.begin(), circle.end());
    return circle;
  }

  // All for whom a process waits, in the end.
  [[nodiscard]] std::set<pid_t> awaited_by(pid_t start) const {
    std::set<pid_t> reached;
    std::deque<pid_t> next = {start};
    while (!next.empty()) {
      const pid_t pid = next.front();
      next.pop_front();
      for_each_awaited(pid, [&](pid_t holder, sys::FileId) {
        if (reached.insert(holder).second) next.push_back(holder);
      });
    }
    return reached;
  }

 private:
  [[nodiscard]] bool is_held_by_stuck(sys::FileId lock) const {
    const auto found = holders_.find(lock);
    return found != holders_.end() &&
           std::any_of(found->second.begin(), found->second.end(), [this](pid_t pid) { return stuck_.contains(pid); });
  }

  bool remove_those_who_go_on() {
    return std::erase_if(stuck_, [this](const auto& entry) {
             const auto& wanted = entry.second->waits_for;
             return !std::all_of(wanted.begin(), wanted.end(),
                                 [this](sys::FileId lock) { return is_held_by_stuck(lock); });
           }) > 0;
  }

  template <class Visit>
  void for_each_awaited(pid_t pid, const Visit& visit) const {
    for (const sys::FileId lock : stuck_.at(pid)->waits_for) {
      for (const pid_t holder : holders_.at(lock)) {
        if (stuck_.contains(holder)) visit(holder, lock);
      }
    }
  }

  std::map<pid_t, const WaitingProcess*> stuck_;
  std::map<sys::FileId, std::set<pid_t>> holders_;
};

}  // namespace

std::vector<Deadlock> find_deadlocks(const std::vector<WaitingProcess>& processes) {
  const StuckGraph graph(processes);
  std::vector<Deadlock> deadlocks;
  std::set<pid_t> told;
  for (const pid_t pid : graph.processes()) {
    if (told.contains(pid)) continue;
    Circle circle = graph.circle_through(pid);
    if (circle.empty()) continue;
    deadlocks.push_back({std::move(circle), {}});
    for (const pid_t other : graph.processes()) {
      if (other == pid || graph.awaited_by(other).contains(pid)) deadlocks.back().stuck.push_back(other);
    }
    const std::set<pid_t> awaited = graph.awaited_by(pid);
    for (const pid_t other : deadlocks.back().stuck) {
      if (awaited.contains(other)) told.insert(other);
    }
  }
  return deadlocks;
}

}  // namespace grex::core
