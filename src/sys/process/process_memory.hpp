#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace grex::sys {

/// These files of /proc are read from the memory of the process. That blocks for as long as
/// the process changes its memory map, which a file system that never answers can make
/// forever; so they are read in another thread, and given up after half a second. A process
/// whose last read has not returned is not read again. Thread-safe.

/// /proc/PID/cmdline; at most 64 KiB of it.
std::optional<std::string> command_line_text(pid_t pid);

/// /proc/PID/environ, however long (execve(2) allows 6 MiB).
std::optional<std::string> environment_text(pid_t pid);

}  // namespace grex::sys
