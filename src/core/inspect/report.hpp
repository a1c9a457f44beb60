#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/inspect/find_locks.hpp"
#include "core/inspect/find_lost.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::core {

/// The state of one file of a lock.
struct ReportedFile {
  std::string path;
  Layout layout = Layout::flat;
  LockState state = LockState::unknown;
};

/// Where a cluster keeps a lock.
struct ClusterSpot {
  std::string ns;       ///< the namespace
  std::string trouble;  ///< why the state is not known; empty if it is
  std::string hint;     ///< what to do about it; may be empty
};

/// The report on one lock, whatever number of files it has; or on a lock that a cluster keeps: that
/// has no files and no target, and its path is its name.
struct LockReport {
  Tier tier = Tier::per_pack;
  std::string target;   ///< canonical path
  std::string path;     ///< of the first file with the state of `merged`; of the first one if there are none
  bool is_old = false;  ///< as in FoundLock
  std::vector<ReportedFile> files = {};        ///< at tier semaphore the slots, then the queue files
  FileReport merged = {};                      ///< what all files show together, with the waiters at the gate
  unsigned slots = 0;                          ///< at tier semaphore, how many slots there are; 0: no limit
  unsigned used = 0;                           ///< at tier semaphore, how many of them are held
  bool are_slots_guessed = false;              ///< at tier semaphore; the caller knows
  std::optional<FileSystem> file_system = {};  ///< that of its file, which need not exist
  std::optional<ClusterSpot> cluster = {};     ///< if a cluster keeps it
};

/// Of which locks the file system is looked up: that of one that is absent costs several looks at
/// the directories above.
enum class FileSystems { of_all, of_all_but_absent };

/// Inspects all locks together, as `inspect` does, and looks for their lost files. One report
/// per lock, in the order of `locks`, with further ones for lost locks that are not among
/// these. `slots` is how many slots there are at tier semaphore. A guard has the time and the
/// note of another lock of its process, if that is among them.
std::vector<LockReport> report_on(std::vector<FoundLock> locks, unsigned slots, FileSystems file_systems,
                                  const LostScope& lost, const HolderSearch& search);

}  // namespace grex::core
