#pragma once

#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/file_report.hpp"
#include "core/inspect/file_system.hpp"

namespace grex::core {

/// How far to search for holders.
struct HolderSearch {
  enum class Extent {
    all,        ///< all processes that have the lock open
    acquirers,  ///< the process that took it, and others only if that is gone
  };
  Extent extent = Extent::all;
  /// If it stops, what was found so far is reported: first of all, the processes that
  /// took the locks. The first few of them are looked at in any case.
  StopToken should_stop = never_stop;
};

/// Inspects lock files as they are, and changes nothing. Reads the kernel's list first,
/// and tries a lock, for an instant, only if the list may be incomplete, or doesn't tell
/// apart this file and others (btrfs, overlay). Never reports `free` unless that is known.
/// Follows no symlink: the paths must be canonical. One report per path, in the order of
/// `paths`. `mounts` are those visible now.
std::vector<FileReport> inspect(const std::vector<std::string>& paths, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});

}  // namespace grex::core
