#include "cli/commands/status_dot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "cli/report/holder_text.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"
#include "sys/process/proc.hpp"

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
  using Edge = std::pair<std::string, std::string>;

  explicit Graph(const StatusReport& report) {
    for (const core::DeadlockReport& deadlock : report.deadlocks) {
      for (std::size_t i = 0; i < deadlock.size(); ++i) {
        const LockProcess& next = deadlock[(i + 1) % deadlock.size()].process;
        add_process(deadlock[i].process);
        const auto place = core::lock_place_of(deadlock[i].waits_for);
        const std::string file = node_of(report, deadlock[i].waits_for);
        add_file(file, std::string(place ? core::name_of(place->tier) : "flock"));
        red_.insert({id_of(deadlock[i].process), file});
        red_.insert({file, id_of(next)});
      }
    }
    edges_ = red_;
    for (const core::LockReport& lock : report.locks) {
      for (const LockProcess& process : lock.merged.waiters) {
        const std::string id = add_process(process);
        edges_.insert({id, file_of(process, lock)});
        add_held(process, id, lock);
      }
      for (const LockProcess& process : lock.merged.holders) {
        const std::string file = file_of(process, lock);  // shown even if its holder is gone
        if (process.alive == false) continue;
        const std::string id = add_process(process);
        add_holder(process, file, id);
        add_held(process, id, lock);
      }
    }
  }

  [[nodiscard]] std::string text() const {
    std::string dot = "digraph \"grex-lock\" {\n  rankdir=LR;\n";
    for (const auto& [path, tier] : files_) {
      const std::string name = path.empty() ? "a lock" : printable(path);
      dot += fmt::format("  {} [shape=box, label={}];\n", dot_string(printable(path)), label(tier, name));
    }
    for (const auto& [id, process] : processes_) {
      const std::string user = process.user ? " " + printable(*process.user) : "";
      constexpr std::size_t longest = 60;
      dot +=
          fmt::format("  {} [label={}];\n", dot_string(id), label(id + user, cut_to(shown_command(process), longest)));
    }
    for (const auto& edge : edges_) {
      const bool is_wait = processes_.contains(edge.first);
      dot += fmt::format("  {} -> {} [label=\"{}\"{}{}];\n", dot_string(printable(edge.first)),
                         dot_string(printable(edge.second)), label_of(edge, is_wait), is_wait ? ", style=dashed" : "",
                         red_.contains(edge) ? ", color=red" : "");
    }
    return dot + "}\n";
  }

 private:
  // A file's id is its path, which begins with '/', so it is never that of a process.
  // On another host, the same number is another process.
  static std::string id_of(const LockProcess& process) {
    const std::string pid = process.pid ? std::to_string(*process.pid) : "?";
    const bool is_elsewhere = process.seat && !process.host.empty() && process.host != sys::host_name();
    return is_elsewhere ? pid + "@" + process.host : pid;
  }

  static std::string tier_of(const LockProcess& process, const core::LockReport& lock) {
    return std::string(core::name_of(lock.tier)) + (process.is_lost ? ", lost" : "");
  }

  [[nodiscard]] std::string_view label_of(const Edge& edge, bool is_wait) const {
    if (is_wait) return "waits for";
    return lost_.contains(edge) ? "lost by" : "held by";
  }

  // All slots of a workspace are one node, since a process waits for any of them.
  static std::string node_of(const StatusReport& report, const std::string& file) {
    for (const core::LockReport& lock : report.locks) {
      const auto is_it = [&file](const core::ReportedFile& other) { return other.path == file; };
      const bool has_it = std::any_of(lock.files.begin(), lock.files.end(), is_it);
      if (has_it && lock.tier == core::Tier::semaphore) return lock.path;
    }
    return file;
  }

  // The file of the lock at which a process was seen, as a node.
  std::string file_of(const LockProcess& process, const core::LockReport& lock) {
    const bool is_lock_itself = process.file.empty() || lock.tier == core::Tier::semaphore;
    std::string file = is_lock_itself ? lock.path : process.file;
    if (lock.cluster) file = "etcd " + lock.cluster->ns + ": " + lock.path;
    add_file(file, tier_of(process, lock));
    return file;
  }

  // The further files that a process has of a lock.
  void add_held(const LockProcess& process, const std::string& id, const core::LockReport& lock) {
    if (lock.tier == core::Tier::semaphore) return;
    for (const std::string& file : process.more_files) {
      add_file(file, tier_of(process, lock));
      add_holder(process, file, id);
    }
  }

  std::string add_process(const LockProcess& process) {
    std::string id = id_of(process);
    if (!process.pid) id += std::to_string(++unknown_);  // processes without a PID are distinct
    processes_.emplace(id, process);
    return id;
  }
  // The file of a lost lock has the path of the one that is in its place now.
  void add_file(const std::string& path, const std::string& tier) {
    std::string& shown = files_[path];
    if (shown.size() < tier.size()) shown = tier;
  }

  void add_holder(const LockProcess& process, const std::string& file, const std::string& id) {
    edges_.insert({file, id});
    if (process.is_lost) lost_.insert({file, id});
  }

  std::map<std::string, std::string> files_;  // tier by path
  std::map<std::string, LockProcess> processes_;
  unsigned unknown_ = 0;
  std::set<Edge> edges_;
  std::set<Edge> red_;
  std::set<Edge> lost_;  // from lost locks to their holders
};

}  // namespace

std::string status_dot(const StatusReport& report) { return Graph(report).text(); }

}  // namespace grex::cli
