#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/report/failure.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/queue_position.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// Shows people, while this lives, what a wait is for, which process holds the lock,
/// and how many wait before this one: on standard error, from a second after the
/// wait began. On a terminal it is one line that is kept up to date and removed at the
/// end; otherwise a line now and then. A thread writes it, so that the wait keeps its
/// place in the kernel's queue. It doesn't wait for a reader that doesn't read.
class WaitProgress {
 public:
  /// `find_busy` is called in the thread.
  WaitProgress(core::Queue queue, FindBusy find_busy);

 private:
  void report_until(int stop);
  void report(int stop);
  [[nodiscard]] std::string text(const std::string& path, Detail detail) const;
  [[nodiscard]] std::string text_within(std::size_t columns) const;

  core::Queue queue_;
  FindBusy find_busy_;
  std::chrono::steady_clock::time_point start_;
  std::optional<core::QueuePosition> position_;  // when it was last read
  Failure busy_;                                 // when the holder last changed
  std::optional<std::chrono::steady_clock::time_point> noted_;
  bool is_drawn_ = false;
  sys::WorkerThread thread_;  // the last member: it ends before the others do
};

}  // namespace grex::cli
