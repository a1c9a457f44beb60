#include "cli/locking/deadlock_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>

#include "cli/report/holder_text.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/waiting_descendants.hpp"

namespace grex::cli {
namespace {

constexpr std::chrono::seconds longest_pause(60);
constexpr std::chrono::seconds before_second_look(1);
constexpr std::chrono::seconds time_to_look(1);

using Found = std::vector<core::WaitingDescendant>;

bool is_same(const core::WaitingDescendant& a, const core::WaitingDescendant& b) {
  return a.pid == b.pid && a.started == b.started && a.path == b.path;
}

// Those of the second look that the first one has found, too; certain only if both say so.
Found in_both(const Found& first, Found second) {
  std::erase_if(second, [&first](core::WaitingDescendant& waiter) {
    const auto same = std::find_if(first.begin(), first.end(),
                                   [&waiter](const core::WaitingDescendant& other) { return is_same(waiter, other); });
    if (same == first.end()) return true;
    waiter.is_waited_for = waiter.is_waited_for && same->is_waited_for;
    return false;
  });
  return second;
}

}  // namespace

// What the thread does and knows.
class DeadlockWatch::Search {
 public:
  Search(pid_t root, Root kind, Verbosity verbosity, const Events& events)
      : root_(root), kind_(kind), verbosity_(verbosity), events_(events) {}

  [[nodiscard]] bool is_running() const { return is_running_; }
  void begin() { is_running_ = true; }

  // In the thread; `stop` is its descriptor.
  void run(const std::vector<core::LockedFile>& files, int stop) {
    const Found first = look(files, stop);
    if (!first.empty() && !sys::stop_requested(stop, before_second_look)) {
      for (const core::WaitingDescendant& waiter : in_both(first, look(files, stop))) report(waiter);
    }
    is_running_ = false;
  }

  // In the main thread.
  void end() {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }

 private:
  [[nodiscard]] Found look(const std::vector<core::LockedFile>& files, int stop) const {
    const StopToken is_late = stop_after(time_to_look);
    return core::find_waiting_descendants(files, root_, [&is_late, stop] {
      return is_late() || sys::stop_requested(stop, std::chrono::milliseconds(0));
    });
  }

  void report(const core::WaitingDescendant& waiter);
  [[nodiscard]] std::string text(const core::WaitingDescendant& waiter, const core::LockProcess& process) const;

  const pid_t root_;
  const Root kind_;
  const Verbosity verbosity_;
  const Events& events_;
  std::atomic<bool> is_running_ = false;
  std::mutex mutex_;  // guards the next one, and whatever is reported
  bool has_ended_ = false;
  Found reported_;  // only the thread uses it
};

void DeadlockWatch::Search::report(const core::WaitingDescendant& waiter) {
  const auto is_known = [&waiter](const core::WaitingDescendant& other) {
    return is_same(waiter, other) && (other.is_waited_for || !waiter.is_waited_for);
  };
  if (std::any_of(reported_.begin(), reported_.end(), is_known)) return;
  const core::LockProcess process = core::waiting_process(waiter.pid);
  const std::lock_guard lock(mutex_);
  if (has_ended_) return;
  reported_.push_back(waiter);
  events_.deadlock(process, waiter.is_waited_for);
  if (waiter.is_waited_for || verbosity_ != Verbosity::quiet) note(text(waiter, process));
}

std::string DeadlockWatch::Search::text(const core::WaitingDescendant& waiter, const core::LockProcess& process) const {
  const std::string whom = process_list({process});
  const std::string way_out = "; to break it: " + kill_line({waiter.pid});
  const std::string root = kind_ == Root::command ? "CMD" : fmt::format("pid {}", root_);
  if (waiter.pid == root_) {
    return fmt::format("deadlock: {}: {}{}, waits for this lock{}", waiter.path,
                       kind_ == Root::command ? "CMD, " : "the process of --while-pid, ", whom, way_out);
  }
  if (waiter.is_waited_for) {
    return fmt::format("deadlock: {}: {} waits for {}, which waits for this lock{}", waiter.path, root, whom, way_out);
  }
  return fmt::format("possible deadlock: {}: {}, a descendant of {}, waits for this lock", waiter.path, whom, root);
}

DeadlockWatch::DeadlockWatch(const std::vector<core::HeldLock>& locks, pid_t root, Root kind,
                             const LockOptions& options, const Events& events)
    : locks_(locks), search_(std::make_shared<Search>(root, kind, options.verbosity, events)) {
  if (!locks.empty()) due_ = Deadline::clock::now() + pause_;
}

void DeadlockWatch::do_now() {
  pause_ = std::min(2 * pause_, longest_pause);
  due_ = Deadline::clock::now() + pause_;
  if (search_->is_running()) return;
  search_->begin();
  thread_ = std::make_unique<sys::WorkerThread>();  // joins the last one, which has nothing more to do
  const auto started =
      thread_->start([search = search_, files = core::locked_files(locks_)](int stop) { search->run(files, stop); });
  if (!started) due_.reset();
}

void DeadlockWatch::end() {
  due_.reset();
  search_->end();
  if (thread_) thread_->end_by(Deadline::clock::now());
  thread_.reset();
}

}  // namespace grex::cli
