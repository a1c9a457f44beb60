#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <set>
#include <vector>

#include "base/deadline.hpp"
#include "sys/process/process_tree.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/signal/forwarded_signals.hpp"

namespace grex::sys {

/// Ends a command with all processes below it: SIGTERM, and SIGKILL later. While this lives,
/// this process adopts those whose parent has ended (PR_SET_CHILD_SUBREAPER in prctl(2)). Needs a /proc of our PID
/// namespace; otherwise, only the command itself is ended.
class DescendantsEnd : public TimedWork {
 public:
  /// Adopts from now on. The children that this process has already are left alone.
  DescendantsEnd();
  ~DescendantsEnd() override;
  DescendantsEnd(const DescendantsEnd&) = delete;
  DescendantsEnd& operator=(const DescendantsEnd&) = delete;

  /// The command, a child that is not reaped yet.
  void set_command(pid_t command) { command_ = command; }

  /// A child that must be left alone, too.
  void leave_alone(pid_t child);

  /// From now on it is due. SIGKILL follows after this time, unless an earlier call has set an
  /// earlier one.
  void begin(std::chrono::nanoseconds time_to_end);

  [[nodiscard]] std::optional<Deadline> due() const override { return due_; }
  void do_now() override;

  /// Those that have not ended, once the command has been reaped.
  [[nodiscard]] std::vector<pid_t> running() const;

  /// Receives the ends of adopted processes. Not of the command.
  void reap_adopted() const;

  /// The command has been reaped: ends the others, as begin() does, and waits for that until a
  /// second after SIGKILL. A termination signal makes it send SIGKILL immediately. Returns
  /// whether all have ended, as far as can be seen.
  bool finish(std::chrono::nanoseconds time_to_end, const ForwardedSignals& signals);

 private:
  [[nodiscard]] std::vector<NumberedProcess> find() const;
  void signal_new(int signal);

  std::set<NumberedProcess> others_;  // children from before
  pid_t command_ = 0;                 // 0: reaped
  std::optional<Deadline> due_;
  std::optional<Deadline> kill_at_;     // set by begin()
  std::vector<NumberedProcess> asked_;  // have got SIGTERM
};

}  // namespace grex::sys
