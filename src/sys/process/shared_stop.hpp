#pragma once

#include <sys/types.h>

namespace grex::sys {

/// What stops with a command: this process, or its whole process group.
enum class StopExtent { process, group };

/// Stops as Ctrl-Z would, because the command has stopped, and returns when this process
/// has been continued. What was stopped is continued, too, if another process continues
/// the command alone, or the command ends, or a SIGTERM, SIGINT, SIGHUP or SIGQUIT is sent
/// to this process; that may take a tenth of a second. Returns immediately if no process could
/// continue this one (no job control, an orphaned group): the kernel then discards SIGTSTP.
void stop_with_command(pid_t command, StopExtent extent);

}  // namespace grex::sys
