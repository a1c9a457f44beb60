#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/deadline.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/forwarded_signals.hpp"

namespace grex::sys {

/// Ends a command with all processes below it: SIGTERM, and SIGKILL after 10 s. While this
/// lives, this process adopts those whose parent has ended (PR_SET_CHILD_SUBREAPER in
/// prctl(2)). Needs a /proc of our PID namespace; otherwise, only the command itself is ended.
class DescendantsEnd : public TimedWork {
 public:
  /// Adopts from now on. The children that this process has already are left alone.
  DescendantsEnd();
  ~DescendantsEnd() override;
  DescendantsEnd(const DescendantsEnd&) = delete;
  DescendantsEnd& operator=(const DescendantsEnd&) = delete;

  /// The command, a child that is not reaped yet.
  void set_command(pid_t command) { command_ = command; }

  /// From now on it is due.
  void begin();

  [[nodiscard]] std::optional<Deadline> due() const override { return due_; }
  void do_now() override;

  /// Receives the ends of adopted processes. Not of the command.
  void reap_adopted() const;

  /// The command has been reaped: ends the others, and waits for that until 11 s have passed
  /// since begin(), which it calls if need be. A termination signal makes it send SIGKILL
  /// immediately. Returns whether all have ended, as far as can be seen.
  bool finish(const ForwardedSignals& signals);

 private:
  // Of a process: its number, and its start time.
  using Process = std::pair<pid_t, std::uint64_t>;

  [[nodiscard]] std::vector<Process> find() const;
  void signal_new(int signal);

  std::vector<Process> others_;  // children from before
  pid_t command_ = 0;            // 0: reaped
  std::optional<Deadline> due_;
  std::optional<Deadline> kill_at_;  // set by begin()
  std::vector<Process> asked_;       // have got SIGTERM
};

}  // namespace grex::sys
