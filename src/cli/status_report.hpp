#pragma once

#include <string>
#include <vector>

#include "core/inspect.hpp"
#include "core/target.hpp"

namespace grex::cli {

/// One lock as `status` tells it.
struct LockReport {
  core::Tier tier = core::Tier::per_pack;
  std::string target;  ///< canonical path
  std::string path;    ///< of the lock file; at tier semaphore the first slot's
  core::FileReport file;
  unsigned slots = 0;  ///< at tier semaphore: permits, 0 is unbounded
  unsigned used = 0;   ///< and how many of them are held
};

struct StatusReport {
  std::string host;
  core::UtcTime taken_at;
  std::vector<LockReport> locks;
};

}  // namespace grex::cli
