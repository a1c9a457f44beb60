#pragma once

#include "base/unique_fd.hpp"

namespace grex::sys {

bool is_terminal(int fd);

/// How many columns and rows a terminal has; 80 and 24 where it does not say.
unsigned columns_of(int terminal);
unsigned rows_of(int terminal);

/// Whether this process is in the foreground of a terminal, and so may write to
/// it where the cursor is.
bool is_in_foreground_of(int terminal);

/// Ends this process by a signal's default action, so that whoever waits for it
/// sees the signal. Comes back only where that signal doesn't kill.
void die_of(int signal);

/// While this lives, a SIGTSTP (Ctrl-Z) stays pending instead of stopping this
/// process; it stops it at the end, unless a SIGCONT has come meanwhile. Nothing
/// changes where the signal is ignored, or held back by whoever started us.
class HeldBackStop {
 public:
  HeldBackStop();
  ~HeldBackStop();
  HeldBackStop(const HeldBackStop&) = delete;
  HeldBackStop& operator=(const HeldBackStop&) = delete;

  /// Readable while one is pending, and not to be read; -1 where nothing was
  /// changed; borrowed.
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;  // a signalfd
};

}  // namespace grex::sys
