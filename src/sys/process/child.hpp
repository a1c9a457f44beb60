#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/forwarded_signals.hpp"

namespace grex::sys {

/// A program to start. All pointers are borrowed, and argv and envp end with a
/// null pointer.
struct Command {
  char* const* argv;  ///< argv[0] is looked up in PATH, as execvp(3) does
  char* const* envp;
  std::span<const int> inherit;   ///< close-on-exec descriptors that it gets as well
  bool dies_with_parent = false;  ///< the kernel kills it when the thread that started it has ended
};

/// How a command ended.
struct ChildEnd {
  int status = 0;              ///< its exit status, or the signal that killed it
  bool killed = false;         ///< by that signal
  bool from_terminal = false;  ///< the SIGINT came from the terminal: the user's Ctrl-C
  bool asked_to_end = false;   ///< SIGTERM, SIGINT, SIGHUP or SIGQUIT reached us while it ran
  pid_t session = 0;           ///< its session, if it was killed or asked to end
};

/// What may happen while a command runs.
struct ChildObserver {
  /// A signal, by its number, could not be forwarded to the command, because of kill(2)'s error.
  std::function<void(int signal, const Error& error)> unforwarded;
  TimedWorks works = {};
  /// A child of this process has ended or stopped, but not the command; may be empty.
  std::function<void()> other_child = {};
  /// SIGIO has arrived; may be empty.
  std::function<void()> news = {};
};

/// A command that runs as a child of this process. While this lives, the termination
/// signals are blocked in this process and forwarded to the command, once each. The
/// command itself starts with the mask and the actions that this process was started
/// with. Call wait() before this is destroyed.
class Child {
 public:
  /// Signals that have arrived since `signals` began reach the command, too. Errors: exec
  /// (with execve's errno: ENOENT, EACCES, …), system; the signals stay blocked.
  static Result<Child> start(const Command& command, const ForwardedSignals& signals);

  /// Returns when the command has ended. If it stops in the foreground of a terminal, and
  /// a shell with job control waits for this process, this process stops and continues
  /// with it. Errors: system.
  Result<ChildEnd> wait(const ChildObserver& observer);

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  Child(pid_t pid, const ForwardedSignals& signals) : pid_(pid), signals_(signals) {}
  void forward(const ReceivedSignal& signal, const ChildObserver& observer);
  [[nodiscard]] ChildEnd reap(const siginfo_t& child) const;
  void follow_stop(int stop_signal) const;
  void continue_if_stopped() const;

  pid_t pid_;
  ForwardedSignals signals_;
  std::vector<ReceivedSignal> arrived_;  // before it began; must still be forwarded
  bool interrupted_ = false;
  bool asked_to_end_ = false;
};

/// Replaces this process by the command. Returns only on failure.
/// Errors: exec, system.
Error exec_in_place(const Command& command);

}  // namespace grex::sys
