#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "base/deadline.hpp"
#include "cli/args/options.hpp"
#include "cli/report/events.hpp"
#include "core/lock/held_lock.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// Looks from time to time whether a process waits for our locks that must end before we
/// release them: CMD, or a descendant of it; or the same for the process of --while-pid. It
/// may be any program. Reports each one once, and once more if it becomes certain: on
/// standard error, with -q only if it is certain, and as an event. Ends nothing.
///
/// The first look comes after a second, and the pauses grow to a minute. A thread looks, and
/// reports only what it sees again a second later, so nothing waits for it; if it gets
/// stuck, no other one follows. The references are borrowed.
class DeadlockWatch : public sys::TimedWork {
 public:
  /// Which process must end first.
  enum class Root { command, watched_process };

  DeadlockWatch(const std::vector<core::HeldLock>& locks, pid_t root, Root kind, const LockOptions& options,
                const Events& events);
  ~DeadlockWatch() override { end(); }
  DeadlockWatch(const DeadlockWatch&) = delete;
  DeadlockWatch& operator=(const DeadlockWatch&) = delete;

  [[nodiscard]] std::optional<Deadline> due() const override { return due_; }
  void do_now() override;

  /// The process has ended: from now on, nothing is reported.
  void end();

 private:
  class Search;

  const std::vector<core::HeldLock>& locks_;
  std::optional<Deadline> due_;
  std::chrono::seconds pause_{1};
  std::shared_ptr<Search> search_;             // with the thread
  std::unique_ptr<sys::WorkerThread> thread_;  // that of the last look
};

}  // namespace grex::cli
