#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "cli/args/options.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/git_exclude.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/events.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/cluster/cluster.hpp"
#include "core/lock/acquire.hpp"
#include "core/lock/record.hpp"
#include "sys/process/timed_work.hpp"

namespace grex::cli {

/// The locks that a command holds.
struct Acquired {
  std::vector<core::HeldLock> locks;  ///< empty if ancestors have them, or slots have no limit
  core::TierStack stack;              ///< for descendants
  std::chrono::milliseconds waited{0};
  bool is_inherited = false;                         ///< an ancestor has at least one of the locks
  std::optional<core::ProcessIdentity> writer = {};  ///< of the records, if there was time to read it
  GitExcluder git = {};
  std::unique_ptr<core::Cluster> cluster = {};  ///< that keeps locks, too; or null
};

/// What a command's records say of it.
struct Holder {
  std::string verb;
  std::string program;  ///< that runs under the locks, with or without its directory; empty if unknown
  std::optional<int> while_pid = {};
};

/// Takes all of the locks, or none, and reports this as the options say. `holder` is what a
/// cluster's record says.
Result<Acquired, Failure> take(Plan plan, const LockOptions& options, const GlobalOptions& global, Events& events,
                               const Holder& holder);

/// Why there are no locks to take.
std::string nothing_to_lock(const Acquired& acquired);

/// For -v: these files are locked; `waited` is 0 if no process was in the way.
void note_locked(const std::string& paths, std::chrono::milliseconds waited);

/// Reads who the writer of the records is, unless it is known, or --no-record is given.
void identify_writer(Acquired& acquired, const LockOptions& options);

/// Writes a holder record into a file of each lock, unless --no-record is given. `-v` reports
/// those that can't be written; a `hold` always does, unless it is quiet.
void write_records(Acquired& acquired, const LockOptions& options, const Holder& holder);

/// Completes the records with what /proc shows about this process, if they were written
/// without it: reading it takes longer than writing a record, and a command that ends within
/// 100 ms doesn't wait for it. The references are borrowed.
class RecordCompletion : public sys::TimedWork {
 public:
  RecordCompletion(Acquired& acquired, const LockOptions& options);
  [[nodiscard]] std::optional<Deadline> due() const override { return due_; }
  void do_now() override;

 private:
  Acquired& acquired_;
  const LockOptions& options_;
  std::optional<Deadline> due_;
};

/// How long to wait for locks, counted from `start`; `observer` is borrowed.
core::WaitPolicy wait_policy_of(const LockOptions& options, std::chrono::steady_clock::time_point start,
                                core::WaitObserver& observer);

/// Whether an attempt ended at a busy lock that must be looked at before a wait for it.
bool must_check(const core::Attempt& attempt, const std::vector<core::Target>& targets);

/// Why an attempt, begun at `start`, did not get its locks. Not for one that ended at a cluster.
Failure acquisition_failure(const core::Attempt& attempt, const std::vector<core::Target>& targets,
                            const LockOptions& options, Audience audience, std::chrono::steady_clock::time_point start);

}  // namespace grex::cli
