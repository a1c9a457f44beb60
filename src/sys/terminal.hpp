#pragma once

namespace grex::sys {

bool is_terminal(int fd);

/// Ends this process by a signal's default action, so that whoever waits for it
/// sees the signal. Comes back only where that signal doesn't kill.
void die_of(int signal);

/// Stops this process as Ctrl-Z does, until it is continued. Comes back at once
/// where nobody could continue it.
void suspend();

}  // namespace grex::sys
