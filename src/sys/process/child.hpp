#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "base/result.hpp"

namespace grex::sys {

/// A program to start. All pointers are borrowed, and argv and envp end with a
/// null pointer.
struct Command {
  char* const* argv;  ///< argv[0] is looked up in PATH, as execvp(3) does
  char* const* envp;
  std::span<const int> inherit;  ///< descriptors it gets beside those that are not close-on-exec
};

/// How a command ended.
struct ChildEnd {
  int status = 0;              ///< its exit status, or the signal that killed it
  bool killed = false;         ///< by that signal
  bool from_terminal = false;  ///< SIGINT had come from the terminal, so that it is the user's
};

/// One command, run beside this process. While it lives, the signals that
/// people and supervisors send (see forwarded_signals in the source) are held
/// back from this process and handed to the command, once each. The command
/// itself starts with the mask and the dispositions that this process was
/// started with. To be waited for before it is dropped.
class Child {
 public:
  /// Errors: exec (with execve's errno: ENOENT, EACCES, …), system.
  static Result<Child> start(const Command& command);

  /// Returns when the command has ended; stops and goes on with it where it is
  /// stopped in the foreground of a terminal. Errors: system.
  Result<ChildEnd> wait();

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  void forward(int signal, int code);
  void follow_stop() const;
  void continue_if_stopped() const;

  pid_t pid_;
  bool interrupted_ = false;
};

/// Replaces this process by the command. Returns only where that failed.
/// Errors: exec, system.
Error exec_in_place(const Command& command);

}  // namespace grex::sys
