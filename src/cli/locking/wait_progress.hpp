#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/locking/busy.hpp"
#include "cli/report/holder_text.hpp"
#include "core/inspect/queue_position.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// While this lives, shows on standard error what a wait is for, which process holds
/// the lock, and how many wait ahead of this one. It starts a second after the wait
/// began. A terminal has one line, which is kept up to date and removed at the end;
/// anything else gets a line every 30 seconds. A thread writes them, so that the wait
/// keeps its place in the kernel's queue. Its end never waits for a reader.
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
  std::optional<core::QueuePosition> position_;  // as last read
  Failure busy_;                                 // as of the last change of holders
  std::optional<std::chrono::steady_clock::time_point> last_line_at_;
  bool is_drawn_ = false;
  sys::WorkerThread thread_;  // the last member, so that it ends before the others are destroyed
};

}  // namespace grex::cli
