#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/inspect/report.hpp"
#include "core/inspect/wait_graph.hpp"

namespace grex::cli {

/// What a search of the whole machine could not see.
struct Unseen {
  std::size_t files = 0;          ///< locked files that can't be named
  std::size_t unreachable = 0;    ///< locked files that no path leads to
  bool has_uninspected = false;   ///< processes that may not be inspected may have them open
  bool more_files = false;        ///< there may be more of them
  bool other_namespaces = false;  ///< processes in other PID namespaces may hold more

  [[nodiscard]] bool empty() const { return files == 0 && unreachable == 0 && !more_files && !other_namespaces; }
};

/// Whether a process may hold a lock or wait for it. One in an unknown state may be held.
inline bool may_be_in_use(const core::LockReport& lock) {
  return core::may_be_in_use(lock.merged.state) || !lock.merged.waiters.empty();
}

/// What `status` reports.
struct StatusReport {
  std::string host;
  UtcTime taken_at;
  std::vector<core::LockReport> locks;
  std::vector<core::DeadlockReport> deadlocks;
  bool is_complete = true;       ///< false: something was not searched, or could not be
  std::optional<Unseen> unseen;  ///< with --all
  /// The PATHs of locks in use that have no name in the cluster which the environment names:
  /// `release` needs `--cluster none`.
  std::set<std::string> unnamed;
};

}  // namespace grex::cli
