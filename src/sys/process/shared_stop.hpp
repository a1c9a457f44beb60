#pragma once

#include <sys/types.h>

namespace grex::sys {

/// Stops this process as Ctrl-Z would, because its command has stopped, and returns when
/// it has been continued. The end of the command continues it, too: another process may
/// have continued the command alone. Returns immediately if no process could continue
/// this one (no job control, an orphaned group): the kernel then discards SIGTSTP.
void stop_with_command(pid_t command);

}  // namespace grex::sys
