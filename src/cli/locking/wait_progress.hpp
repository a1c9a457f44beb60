#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/locking/busy.hpp"
#include "core/inspect/queue_position.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// What a wait is for, as its progress shows it.
struct WaitedLock {
  std::size_t slots = 1;  ///< more than one: any of these
  /// Reads what is ahead; is called in the thread, and must own all that it uses.
  std::function<core::QueuePosition(const StopToken& should_stop)> read_position;
  /// The line to type that shows the lock, printable.
  std::string status_line = "grex-lock status";
};

/// That of the queue of a lock file.
WaitedLock waited_lock(core::FileQueue queue);

/// While this lives, a thread reports on a wait, so that the wait itself can begin
/// immediately and keeps its place in the kernel's queue.
///
/// It announces the wait as soon as the holder is known, or else when the wait ends. And
/// it shows on standard error what the wait is for, which process holds the lock, and how
/// many wait ahead of this one, from a second after the wait began. A terminal has one
/// line, which is kept up to date and removed at the end; anything else gets a line every
/// 30 seconds.
///
/// A search for holders may block in the kernel, so the end of this waits for the thread
/// for a second at most.
class WaitProgress {
 public:
  /// Whether a wait has just been found to be one, or something else is in its way by now.
  enum class News { found, changed };
  /// Is called in the thread or in the destructor: once with `found`, and then for each change
  /// that is noticed; may be empty.
  using Announce = std::function<void(const Failure& busy, News news)>;
  enum class Line { shown, hidden };

  /// `find_busy` is called in the thread, and must own all that it uses. `unknown` is what
  /// it would return if it found nothing.
  WaitProgress(WaitedLock lock, Failure unknown, FindBusy find_busy, Announce announce, Line line);
  WaitProgress(const WaitProgress&) = delete;
  WaitProgress& operator=(const WaitProgress&) = delete;
  ~WaitProgress();

 private:
  class Reporter;
  std::shared_ptr<Reporter> reporter_;  // with the thread
  sys::WorkerThread thread_;
};

}  // namespace grex::cli
