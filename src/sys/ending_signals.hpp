#pragma once

#include <signal.h>

#include <array>

namespace grex::sys {

/// The signals by which people and supervisors tell us to stop.
inline constexpr std::array<int, 3> ending_signals = {SIGINT, SIGTERM, SIGHUP};

/// Whether this process ignores a signal. nohup(1), and the background jobs of
/// scripts, are to stay deaf.
inline bool is_ignored(int signal) {
  struct sigaction action {};
  ::sigaction(signal, nullptr, &action);
  return action.sa_handler == SIG_IGN;
}

}  // namespace grex::sys
