#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/file_report.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/watched.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

class KernelView;

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
  WatchedPid watched_pid = {};  ///< to name the processes for which holds are kept; may be null
};

/// The `op` of the Error for a file that was not looked up.
inline constexpr std::string_view not_looked_up = "not looked up";

/// How a file that is not in its place any more is found: a process has it open.
struct LostFile {
  sys::OpenDescriptor descriptor;
  /// Processes that took its lock, and that of the file which is in its place now: for these,
  /// the lock isn't lost.
  std::set<pid_t> restored_by = {};
  std::string moved_to = {};  ///< its path, if only its holder record says where its place was
};

/// A lock file to inspect.
struct FileToInspect {
  sys::LockFileName name;
  /// What is in its place, if that is known: it has just been looked up, or a descriptor shows it.
  std::optional<sys::FileStatus> status = {};
  bool may_never_answer = false;      ///< its file system; then there is a `status`, and the file is not looked up
  std::optional<LostFile> lost = {};  ///< if it is not in its place any more; then there is a `status`
};

/// Inspects lock files as they are, and changes nothing. Reads the kernel's list first,
/// and tries a lock, for an instant, only if the list may be incomplete, or doesn't
/// distinguish this file from others (btrfs, overlay). Never reports `free` unless that is known.
/// Follows no symlink. One report per file, in the order of `files`. `mounts` are those
/// visible now. A file that is not in its place is `lost`, or else `absent`.
std::vector<FileReport> inspect(const std::vector<FileToInspect>& files, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});

/// The same, with a list that has just been read.
std::vector<FileReport> inspect(const std::vector<FileToInspect>& files, const KernelView& view,
                                const std::vector<Mount>& mounts, const HolderSearch& search = {});
std::vector<FileReport> inspect(const std::vector<sys::LockFileName>& names, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});

}  // namespace grex::core
