#pragma once

#include <sys/types.h>

#include <vector>

#include "base/unique_fd.hpp"
#include "core/inspect/file_report.hpp"

namespace grex::core {

/// A `grex-lock hold` process.
struct Hold {
  pid_t pid = 0;
  UniqueFd process;  ///< pidfd: a signal through it never reaches a later process with that number
};

/// The `grex-lock hold` processes that verifiably hold the lock of this report: the
/// kernel lists them as acquirers, the record is valid, and start time and boot id show
/// that they wrote it.
std::vector<Hold> find_holds(const FileReport& report);

}  // namespace grex::core
