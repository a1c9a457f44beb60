#pragma once

#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/inspect.hpp"
#include "core/lock/layout.hpp"

namespace grex::core {

/// Which lost locks to look for.
struct LostScope {
  enum class Extent {
    none,
    acquirers,  ///< only those whose acquirer still has them, and of those that were moved away only some
    all,        ///< of every process
  };
  Extent extent = Extent::acquirers;
  bool of_machine = false;              ///< also of any other lock than those at hand
  std::vector<std::string> below = {};  ///< also of targets in these directories, by their canonical paths
};

/// A lock whose lost files are looked for: those of these layouts, if its tier has a file in
/// each.
struct WantedLock {
  Tier tier = Tier::per_pack;
  std::string target;  ///< canonical path
  Layouts layouts = {};
  bool is_old = false;  ///< as in LockPlace
};

/// A lock file that a process has locked, and that is not in its place any more.
struct FoundLost {
  LockPlace place;     ///< where that was
  FileToInspect file;  ///< its name is that of its place
};

/// The lost files of these locks, and of further ones in the scope. `files` are the files in
/// place, with the reports on them. Looks at the processes that the kernel lists as acquirers
/// of locks on other files, or at all. A removed file is known by the path that the kernel
/// still has for it, one that was moved away by its record. A process in another mount
/// namespace, or with another root, counts if that path leads it to the target. Looks up no
/// path that may never answer.
std::vector<FoundLost> find_lost(const std::vector<WantedLock>& wanted, const std::vector<FileToInspect>& files,
                                 const std::vector<FileReport>& reports, const KernelView& view,
                                 const std::vector<Mount>& mounts, const LostScope& scope,
                                 const StopToken& should_stop = never_stop);

}  // namespace grex::core
