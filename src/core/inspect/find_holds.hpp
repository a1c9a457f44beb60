#pragma once

#include <sys/types.h>

#include <vector>

#include "base/unique_fd.hpp"
#include "core/inspect/inspect.hpp"

namespace grex::core {

/// A process that keeps locks by `hold`.
struct Hold {
  pid_t pid = 0;
  UniqueFd process;  ///< pidfd: a signal by it never reaches another that got the number later
};

/// The processes that really hold the lock of this report, and by `hold`: the
/// kernel names them as the ones that took it, the record is theirs, and they are
/// still the ones that wrote it, by start time and boot.
std::vector<Hold> find_holds(const FileReport& report);

}  // namespace grex::core
