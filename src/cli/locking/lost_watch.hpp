#pragma once

#include <cstddef>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "cli/args/options.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/lost_report.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/events.hpp"
#include "core/lock/lost_file.hpp"
#include "sys/process/timed_work.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {

/// Looks once a second whether the lock files are still in place, restores those that are not,
/// and reports it, all as --if-lost says. A thread looks, which is abandoned if a file system
/// doesn't answer; only for a command that has ended within a second, and on a local file
/// system, this one does. The references are borrowed.
class LostWatch : public sys::TimedWork {
 public:
  LostWatch(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience, const Events& events);
  LostWatch(const LostWatch&) = delete;
  LostWatch& operator=(const LostWatch&) = delete;
  ~LostWatch() override;

  [[nodiscard]] std::optional<Deadline> due() const override { return due_; }
  void do_now() override;

  /// The last look, before the locks are released. It takes at most a second. What it finds
  /// is reported by report().
  void look_last();

  /// The locks will be left to processes that did not inherit restored files: these are lost.
  void expect_inheritors();

  void report();

  /// Whether a lock was lost and --if-lost is `stop`.
  [[nodiscard]] bool must_stop() const { return has_lost_ && if_lost_ == IfLost::stop; }

  /// Then, and after report(), the failure of the command; see lost_failure.
  [[nodiscard]] Failure failure(std::string hint) const { return lost_failure(reason_.value(), std::move(hint)); }

 private:
  // A file of one of the locks, by their indices.
  struct Position {
    std::size_t lock = 0;
    std::size_t file = 0;
  };
  struct Wanted {
    Position at;
    core::WatchedFile file;
    int max_tries = 0;  // less than 0: don't restore it
  };
  struct Found {
    Position at;
    core::Whereabouts whereabouts = core::Whereabouts::in_place;
    std::optional<core::Restoration> restoration = {};
  };
  struct FileState {
    bool is_lost = false;  // and it is not looked at any more
    bool is_moved = false;
    int tries_left = 10;
  };

  static std::vector<Found> look(const std::vector<Wanted>& files, const LockOptions& options,
                                 core::MayBlock may_block);
  [[nodiscard]] bool are_in_place() const;
  [[nodiscard]] std::vector<Wanted> wanted_files() const;
  void start_thread();
  bool take_from_thread(int& waits_left);
  bool take_from_thread(std::chrono::milliseconds within);
  void apply(std::vector<Found> found);
  void apply(Found& found);
  void add_change(LostChange::Kind kind, const Found& found, std::string why);
  void report(LostChange& change);

  Acquired& acquired_;
  const LockOptions& options_;
  const IfLost if_lost_;
  const Audience audience_;
  const Events& events_;
  std::vector<std::vector<FileState>> states_;  // as acquired_.locks and their files
  std::vector<std::string> restored_;           // the paths of the locks of which a line has said that they were
  bool needs_thread_ = false;
  bool has_lost_ = false;
  std::optional<Deadline> due_;
  std::vector<LostChange> changes_;        // must be reported
  std::optional<LostChange> reason_;       // to stop
  std::future<std::vector<Found>> found_;  // by the thread, as long as it looks
  int polls_ = 0;                          // for that
  std::optional<sys::WorkerThread> thread_;
};

}  // namespace grex::cli
