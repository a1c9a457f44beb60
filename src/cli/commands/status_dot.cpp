#include "cli/commands/status_dot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"

namespace grex::cli {
namespace {

using core::LockProcess;

// A string of DOT. Only the quote and the backslash are special in it; in a label, \n
// begins a line.
std::string dot_string(std::string_view text) {
  std::string dot = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') dot += '\\';
    dot += c;
  }
  return dot + "\"";
}

std::string label(std::string_view first, std::string_view second) {
  std::string both = dot_string(first);
  both.pop_back();
  return both + "\\n" + dot_string(second).substr(1);
}

class Graph {
 public:
  explicit Graph(const StatusReport& report) {
    for (const core::DeadlockReport& deadlock : report.deadlocks) {
      for (std::size_t i = 0; i < deadlock.size(); ++i) {
        const LockProcess& next = deadlock[(i + 1) % deadlock.size()].process;
        add_process(deadlock[i].process);
        const auto place = core::lock_place_of(deadlock[i].waits_for);
        const std::string lock = path_of_lock(report, deadlock[i].waits_for);
        add_lock(lock, place ? core::name_of(place->tier) : "flock");
        red_.insert({id_of(deadlock[i].process), lock});
        red_.insert({lock, id_of(next)});
      }
    }
    edges_ = red_;
    for (const core::LockReport& lock : report.locks) {
      if (lock.merged.holders.empty() && lock.merged.waiters.empty()) continue;
      add_lock(lock.path, core::name_of(lock.tier));
      for (const LockProcess& process : lock.merged.waiters) edges_.insert({add_process(process), lock.path});
      for (const LockProcess& process : lock.merged.holders) {
        if (process.alive != false) edges_.insert({lock.path, add_process(process)});
      }
    }
  }

  [[nodiscard]] std::string text() const {
    std::string dot = "digraph \"grex-lock\" {\n  rankdir=LR;\n";
    for (const auto& [path, tier] : locks_) {
      const std::string name = path.empty() ? "a lock" : printable(path);
      dot += fmt::format("  {} [shape=box, label={}];\n", dot_string(printable(path)), label(tier, name));
    }
    for (const auto& [id, process] : processes_) {
      const std::string user = process.user ? " " + printable(*process.user) : "";
      constexpr std::size_t longest = 60;
      dot += fmt::format("  {} [label={}];\n", dot_string(id),
                         label(id + user, cut_to(shell_line(process.command), longest)));
    }
    for (const auto& edge : edges_) {
      const bool is_wait = processes_.contains(edge.first);
      dot += fmt::format("  {} -> {} [label=\"{}\"{}{}];\n", dot_string(printable(edge.first)),
                         dot_string(printable(edge.second)), is_wait ? "waits for" : "held by",
                         is_wait ? ", style=dashed" : "", red_.contains(edge) ? ", color=red" : "");
    }
    return dot + "}\n";
  }

 private:
  // A lock's id is its path, which begins with '/', so it is never that of a process.
  static std::string id_of(const LockProcess& process) { return process.pid ? std::to_string(*process.pid) : "?"; }

  // The path by which the report names the lock that has this file.
  static std::string path_of_lock(const StatusReport& report, const std::string& file) {
    for (const core::LockReport& lock : report.locks) {
      const auto is_it = [&file](const core::ReportedFile& other) { return other.path == file; };
      if (std::any_of(lock.files.begin(), lock.files.end(), is_it)) return lock.path;
    }
    return file;
  }

  std::string add_process(const LockProcess& process) {
    std::string id = id_of(process);
    if (!process.pid) id += std::to_string(++unknown_);  // processes without a PID are distinct
    processes_.emplace(id, process);
    return id;
  }
  void add_lock(const std::string& path, std::string_view tier) { locks_.emplace(path, tier); }

  std::map<std::string, std::string> locks_;  // tier by path
  std::map<std::string, LockProcess> processes_;
  unsigned unknown_ = 0;
  std::set<std::pair<std::string, std::string>> edges_;
  std::set<std::pair<std::string, std::string>> red_;
};

}  // namespace

std::string status_dot(const StatusReport& report) { return Graph(report).text(); }

}  // namespace grex::cli
