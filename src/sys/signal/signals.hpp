#pragma once

#include <signal.h>

#include <array>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

namespace grex::sys {

/// The signals that end a wait or a hold, and that reach the command of `run`: those that
/// people and supervisors send, and whose default action ends a process.
inline constexpr std::array<int, 6> termination_signals = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

bool is_termination_signal(int number);

/// Those of them by which people and supervisors ask a process to end.
inline constexpr std::array<int, 4> end_requests = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

sigset_t set_of(std::span<const int> signals);
sigset_t set_of(std::initializer_list<int> signals);

/// Blocks them in this thread, for good.
void block_signals(const sigset_t& signals);

/// Its name, such as "SIGTERM".
std::string name_of_signal(int signal);

/// Whether this process ignores a signal. A process that was started so, for example by
/// nohup(1) or as a background job of a script, must continue to ignore it.
bool is_ignored(int signal);

/// Whether this thread blocks a signal.
bool is_blocked(int signal);

/// Whether a blocked signal has arrived in this thread or process.
bool is_pending(int signal);

/// The termination signals that are not ignored.
sigset_t unignored_signals();

/// A signal that this process has received.
struct ReceivedSignal {
  int number = 0;
  bool from_terminal = false;  ///< the kernel sent it, as for Ctrl-C
  bool to_group = false;       ///< the kernel sent it to our whole process group
};

/// `code` is the signal's si_code. The terminal sends signals to its foreground group,
/// but a hang-up only to the session's leader (drivers/tty/tty_jobctrl.c,
/// tty_signal_session_leader).
ReceivedSignal received_signal(int number, int code);

/// Receives one of these signals that has arrived and is blocked; nullopt if there is none.
std::optional<ReceivedSignal> take_signal(const sigset_t& signals);

/// The same for the termination signals that are not ignored.
std::optional<ReceivedSignal> take_termination_signal();

/// Whether it is the user's Ctrl-C.
bool is_ctrl_c(const ReceivedSignal& signal);

/// Gives SIGTERM its default action, even if it was ignored when grex-lock began.
void restore_sigterm();

/// Gives SIGCHLD its default action, and returns the old one: if SIGCHLD is ignored, the
/// kernel discards the exit status of children (wait(2)).
struct sigaction keep_child_status();

/// Ends this process by a signal's default action, so that the process that waits
/// for it sees the signal. Returns only if that signal doesn't kill.
void kill_self(int signal);

/// Stops this process by SIGTSTP, which must be blocked in this thread, and returns when
/// the process has been continued.
void stop_self();

}  // namespace grex::sys
