#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/inspect/report.hpp"
#include "core/inspect/wait_graph.hpp"

namespace grex::cli {

/// What a search of the whole machine could not see.
struct Unseen {
  std::size_t files = 0;          ///< that are locked, but could not be named
  bool more_files = false;        ///< for which the same may be true
  bool other_namespaces = false;  ///< and what processes there hold

  [[nodiscard]] bool is_nothing() const { return files == 0 && !more_files && !other_namespaces; }
};

/// What `status` tells.
struct StatusReport {
  std::string host;
  core::UtcTime taken_at;
  std::vector<core::LockReport> locks;
  std::vector<core::DeadlockReport> deadlocks;
  std::optional<Unseen> unseen;
};

}  // namespace grex::cli
