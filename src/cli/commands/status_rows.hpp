#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "cli/commands/status_report.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"

namespace grex::cli {

/// The texts of one process, which is shown below its lock.
struct Row {
  std::string label;
  std::string pid;
  std::string user;
  std::string time;
  std::string command;  ///< with its note, and indented as in its tree
  std::string details;  ///< with -v
  bool is_stuck = false;
};

/// How wide the columns of several rows must be.
struct Widths {
  std::size_t tier = 0;
  std::size_t state = 0;
  std::size_t label = 0;
  std::size_t pid = 0;
  std::size_t user = 0;
  std::size_t time = 0;

  void fit(const Row& row) {
    label = std::max(label, width_of(row.label));
    pid = std::max(pid, width_of(row.pid));
    user = std::max(user, width_of(row.user));
    time = std::max(time, width_of(row.time));
  }
};

std::string pid_of(const core::LockProcess& process);

/// Its command line, after its note.
std::string command_of(const core::LockProcess& process);

/// The holders of a lock, as a tree, and then its waiters. `stuck` are the processes in
/// deadlocks.
std::vector<Row> rows_of(const core::LockReport& lock, const StatusReport& report, const std::set<pid_t>& stuck,
                         Verbosity verbosity);

/// How to end the detached holds that hold a lock; empty if there are none. A record must name
/// them, so it is not shown at a guard, or for a shared lock. What is in `hinted` is left out,
/// and what is not is added: a hold releases all its locks.
std::string release_hint_of(const core::LockReport& lock, const StatusReport& report, std::set<pid_t>& hinted);

}  // namespace grex::cli
