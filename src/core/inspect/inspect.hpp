#pragma once

#include <optional>
#include <string>
#include <string_view>
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

/// The `op` of the Error for a file that was not looked up.
inline constexpr std::string_view not_looked_up = "not looked up";

/// A lock file to inspect.
struct NamedFile {
  std::string path;
  std::optional<sys::FileId> shown = {};  ///< as in FoundFile: it must not be looked up
};

/// Inspects lock files as they are, and changes nothing. Reads the kernel's list first,
/// and tries a lock, for an instant, only if the list may be incomplete, or doesn't tell
/// apart this file and others (btrfs, overlay). Never reports `free` unless that is known.
/// Follows no symlink: the paths must be canonical. One report per file, in their order.
/// `mounts` are those visible now.
std::vector<FileReport> inspect(const std::vector<NamedFile>& files, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});
std::vector<FileReport> inspect(const std::vector<std::string>& paths, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});

}  // namespace grex::core
