#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "core/inspect/file_report.hpp"

namespace grex::core {

/// A process that the kernel lists for a lock, and that calls itself a `grex-lock hold`, or
/// may have done so.
struct Hold {
  enum class Kind {
    ours,        ///< it verifiably is one, and this user may end it
    anothers,    ///< its real user is another one
    ending,      ///< its end has begun: that hides what it was, and may still take a while
    unverified,  ///< it may be one, but what shows that can't be read, or shows another process
  };
  Kind kind = Kind::unverified;
  pid_t pid = 0;
  UniqueFd process;  ///< pidfd: a signal through it never reaches a later process with that number
};

/// Whether a command line, the program's name included, is that of `grex-lock hold`.
using IsHold = std::function<bool(const std::vector<std::string>& command)>;

/// The holds of the lock of this report. Of one process, which stays open, the kernel must
/// say that it took the lock, that it has it on a descriptor of this very file, that its
/// program is grex-lock, that its command is `hold`, and that its real user is that of this
/// process, unless this is root. The record is not asked.
std::vector<Hold> find_holds(const FileReport& report, const IsHold& is_hold);

/// The process with this number as a hold that has no lock file to show it; nullopt if it is none
/// that this user may end.
std::optional<Hold> find_hold(pid_t pid, const IsHold& is_hold);

/// Whether /proc/PID/exe, a path, names a program called grex-lock, also if its file was
/// replaced by a newer one since.
bool names_grex_lock(std::string_view executable);

}  // namespace grex::core
