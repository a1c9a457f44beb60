#pragma once

#include <sys/types.h>

#include <set>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "sys/process/process_tree.hpp"

namespace grex::etcd {

/// What the keeper knows of the processes that work under the lock: those below grex-lock and
/// its command, and those that have the liveness pipe open. After grex-lock has been killed they
/// belong to init, where no walk finds them: so they are noted in time, by pidfds. What ended is
/// forgotten. Other keepers, of commands within the command, are left alone: they end when their
/// own locks are free. Needs a /proc of our PID namespace; otherwise, only the command is known.
class Job {
 public:
  /// `pipe` is the read end of the liveness pipe, borrowed while this lives. `grex_lock` is the
  /// process that started this one; if it has ended, or is none, only the command's own
  /// descendants are found. The processes below it now are left alone, so the command must not
  /// have started.
  Job(int pipe, pid_t grex_lock);

  /// The command has started before this process: notes what is below grex-lock, whatever it is.
  void include_earlier();

  /// The command; `process` is its pidfd.
  void set_command(pid_t pid, UniqueFd process);

  /// Notes the processes below grex-lock, the command, and those noted before.
  void note_descendants();

  /// Notes the processes that have the write end of the liveness pipe open, except grex-lock
  /// while it runs. Reads the descriptors of all processes that it may inspect.
  void note_by_pipe();

  /// Sends a signal to all that are known; with SIGTERM, also SIGCONT, since a stopped process
  /// doesn't respond.
  void send(int signal) const;

  /// Whether no process that was noted runs any more.
  [[nodiscard]] bool has_ended();

  /// The pidfds of those that run, as far as is known: borrowed until the next call of another
  /// function.
  [[nodiscard]] std::vector<int> pidfds() const;

 private:
  struct Noted {
    pid_t pid = 0;
    UniqueFd process;
  };

  void forget_ended();
  void note(const sys::NumberedProcess& process);
  [[nodiscard]] bool is_noted(pid_t pid) const;
  [[nodiscard]] bool runs_grex_lock() const;

  int pipe_;
  std::string own_name_;
  Noted grex_lock_;
  std::set<sys::NumberedProcess> others_;  // left alone
  std::vector<Noted> noted_;
};

}  // namespace grex::etcd
