#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/inspect/file_report.hpp"
#include "core/inspect/file_system.hpp"

namespace grex::core {

/// A long operation calls it from time to time, and stops if it returns true, because the
/// result is no longer needed.
using StopToken = std::function<bool()>;
inline bool never_stop() { return false; }

/// How far to search for holders.
struct HolderSearch {
  enum class Extent {
    all,        ///< all processes that have the lock open
    acquirers,  ///< the process that took it, and others only if that is gone
  };
  Extent extent = Extent::all;
  StopToken should_stop = never_stop;  ///< if it stops, what was found so far is reported
};

/// Inspects lock files as they are, and changes nothing. Reads the kernel's list first,
/// and tries a lock, for an instant, only if the list may be incomplete. Never reports
/// `free` unless that is known. One report per path, in the order of `paths`. `mounts`
/// are those visible now.
std::vector<FileReport> inspect(const std::vector<std::string>& paths, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});

}  // namespace grex::core
