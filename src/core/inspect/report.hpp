#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/inspect/find_locks.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::core {

/// One lock as it is, whatever number of files it has.
struct LockReport {
  Tier tier = Tier::per_pack;
  std::string target;                          ///< canonical path
  std::string path;                            ///< of the lock file; at tier semaphore a permit's
  FileReport file;                             ///< at tier semaphore, what is to be said of all of them
  unsigned slots = 0;                          ///< at tier semaphore: permits, 0 is unbounded
  unsigned used = 0;                           ///< and how many of them are held
  std::optional<FileSystem> file_system = {};  ///< where its file lies, or would
};

/// Looks at all of them at once, as `inspect` does. One report a lock, in their
/// order. `slots` is how many permits are meant at tier semaphore.
std::vector<LockReport> report_on(const std::vector<FoundLock>& locks, unsigned slots, const HolderSearch& search = {});

}  // namespace grex::core
