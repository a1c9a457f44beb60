#pragma once

#include <signal.h>
#include <unistd.h>

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

/// Those of the ending signals that are not ignored.
inline sigset_t heeded_signals() {
  sigset_t heeded;
  sigemptyset(&heeded);
  for (const int signal : ending_signals) {
    if (!is_ignored(signal)) sigaddset(&heeded, signal);
  }
  return heeded;
}

/// While this lives, the ending signals that are not ignored are held back; for
/// the time between two waits, which heed them all the same.
class EndingSignalsHeldBack {
 public:
  EndingSignalsHeldBack() {
    const sigset_t heeded = heeded_signals();
    ::sigprocmask(SIG_BLOCK, &heeded, &old_);
  }
  ~EndingSignalsHeldBack() { ::sigprocmask(SIG_SETMASK, &old_, nullptr); }
  EndingSignalsHeldBack(const EndingSignalsHeldBack&) = delete;
  EndingSignalsHeldBack& operator=(const EndingSignalsHeldBack&) = delete;

 private:
  sigset_t old_{};
};

/// Whether a signal, by its si_code, went to our whole process group: what the
/// terminal sends goes to its foreground group, but a hang-up to the leader of
/// the session alone (drivers/tty/tty_jobctrl.c, tty_signal_session_leader).
inline bool went_to_group(int signal, int code) {
  const bool to_leader_alone = signal == SIGHUP && ::getsid(0) == ::getpid();
  return code == SI_KERNEL && !to_leader_alone;
}

}  // namespace grex::sys
