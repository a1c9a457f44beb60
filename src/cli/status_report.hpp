#pragma once

#include <string>
#include <vector>

#include "core/survey.hpp"
#include "core/wait_graph.hpp"

namespace grex::cli {

/// What `status` tells.
struct StatusReport {
  std::string host;
  core::UtcTime taken_at;
  std::vector<core::LockReport> locks;
  std::vector<core::DeadlockReport> deadlocks;
};

}  // namespace grex::cli
