#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "cli/locking/busy.hpp"
#include "cli/report/holder_text.hpp"
#include "core/inspect/queue_position.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// While this lives, a thread reports on a wait, so that the wait itself can begin
/// immediately and keeps its place in the kernel's queue.
///
/// It announces the wait as soon as the holder is known, or else when the wait ends. And
/// it shows on standard error what the wait is for, which process holds the lock, and how
/// many wait ahead of this one, from a second after the wait began. A terminal has one
/// line, which is kept up to date and removed at the end; anything else gets a line every
/// 30 seconds.
class WaitProgress {
 public:
  /// Is called once, in the thread or in the destructor; may be empty.
  using Announce = std::function<void(const Failure& busy)>;
  enum class Line { shown, hidden };

  /// `find_busy` is called in the thread.
  WaitProgress(core::Queue queue, FindBusy find_busy, Announce announce, Line line);
  ~WaitProgress();

 private:
  void announce(int stop);
  void report_until(int stop);
  void report(int stop);
  [[nodiscard]] std::string text(const std::string& path, Detail detail) const;
  [[nodiscard]] std::string text_within(std::size_t columns) const;

  core::Queue queue_;
  FindBusy find_busy_;
  Announce announce_;  // empty once it has been called
  Line line_;
  std::chrono::steady_clock::time_point start_;
  std::optional<core::QueuePosition> position_;  // as last read
  Failure busy_;                                 // as of the last change of holders
  std::optional<std::chrono::steady_clock::time_point> last_line_at_;
  bool is_drawn_ = false;
  std::optional<sys::WorkerThread> thread_;
};

}  // namespace grex::cli
