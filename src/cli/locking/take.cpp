#include "cli/locking/take.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <utility>

#include "base/deadline.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using std::chrono::steady_clock;

// Also keeps new lock files out of `git status`, and reads our identity for the records,
// because a wait gives the time for it.
class AcquisitionObserver : public WaitAnnouncer {
 public:
  AcquisitionObserver(const LockOptions& options, const GlobalOptions& global, const Events& events, Acquired& acquired)
      : WaitAnnouncer(options, global, events), options_(options), acquired_(acquired) {}

  void wait_begins(const core::Target& target, const core::TargetFile& file) override {
    identify_writer(acquired_, options_);
    WaitAnnouncer::wait_begins(target, file);
  }

  void lock_file_created(const sys::LockFileName& name) override { acquired_.git.look_at(name, options_); }

 private:
  const LockOptions& options_;
  Acquired& acquired_;
};

// Why there is no record; empty if there is one, or a shared lock, which has none.
std::string reason_of(core::Recorded recorded) {
  switch (recorded) {
    case core::Recorded::written:
    case core::Recorded::first_written:
    case core::Recorded::shared:
      break;
    case core::Recorded::read_only:
      return "it may only be read";
    case core::Recorded::second_name:
      return "it has a second name (hard link), or was removed";
    case core::Recorded::other_content:
      return "it contains other data";
  }
  return {};
}

// The hint if the system can't give what a wait for a slot needs.
Failure with_slots_hint(Failure failure, const core::TargetFile& file) {
  const std::size_t slots = file.names.size();
  if (slots < 2 || failure.kind != ErrorKind::system || !failure.hint.empty()) return failure;
  if (failure.err == EMFILE) {
    failure.hint =
        fmt::format("a wait for {} slots needs as many open files: raise the hard limit (ulimit -Hn)", slots);
  } else if (failure.err == EAGAIN) {
    failure.hint = fmt::format("a wait for {} slots needs as many threads: raise the limit (ulimit -u)", slots);
  }
  return failure;
}

}  // namespace

bool must_check_again(const core::Attempt& attempt, const std::vector<core::Target>& targets) {
  return attempt.end && attempt.end->outcome == sys::Acquire::busy &&
         targets[attempt.at.target].files[attempt.at.file].if_busy == core::IfBusy::report;
}

core::WaitPolicy wait_policy_of(const LockOptions& options, steady_clock::time_point start,
                                core::WaitObserver& observer) {
  core::WaitPolicy policy;
  policy.waits = !options.nonblock;
  if (options.timeout) policy.deadline = start + *options.timeout;
  policy.observer = &observer;
  return policy;
}

Failure acquisition_failure(const core::Attempt& attempt, const std::vector<core::Target>& targets,
                            const LockOptions& options, Audience audience, steady_clock::time_point start) {
  const core::Target& target = targets[attempt.at.target];
  const core::TargetFile& file = target.files[attempt.at.file];
  if (!attempt.end) return with_slots_hint(open_failure(attempt.end.error(), target), file);
  const BusyReport report = busy_report_of(options);
  const sys::WaitEnd& end = *attempt.end;
  if (end.outcome == sys::Acquire::cancelled) return cancelled_failure(name_of(target), end.signal, report);
  const auto waited = elapsed_since(start);
  Failure failure = busy_failure_soon({name_of(target, file), target.names_from(file), report, audience});
  return end.outcome == sys::Acquire::timed_out ? timeout_failure(std::move(failure), waited) : failure;
}

Result<Acquired, Failure> take(Plan plan, const LockOptions& options, const GlobalOptions& global, Events& events) {
  const auto start = steady_clock::now();
  events.set_locks(plan.targets);
  Acquired acquired;
  AcquisitionObserver observer(options, global, events, acquired);
  core::WaitPolicy policy = wait_policy_of(options, start, observer);
  policy.will_record = options.record;
  core::Attempt attempt = core::acquire(plan.targets, policy);
  while (must_check_again(attempt, plan.targets)) {
    if (auto again = check_again(plan, attempt.at, options); !again) return std::move(again.error());
    attempt = core::acquire(plan.targets, policy);
  }
  if (!attempt.end || attempt.end->outcome != sys::Acquire::held) {
    return acquisition_failure(attempt, plan.targets, options, audience_of(options, global, events), start);
  }
  acquired.waited = elapsed_since(start);
  acquired.stack = std::move(plan.stack);
  acquired.locks = std::move(attempt.locks);
  for (core::StackEntry& entry : core::entries_of(acquired.locks)) core::add_entry(acquired.stack, std::move(entry));
  events.set_locks(acquired.locks);
  events.acquired(acquired.waited, plan.guards);
  if (options.verbosity == Verbosity::verbose && !acquired.locks.empty()) {
    note(fmt::format("locked {} after {}", paths_of(acquired.locks), format_duration(acquired.waited)));
    if (!plan.guards.empty()) note(fmt::format("guarded: {}", fmt::join(plan.guards, ", ")));
    note_caveats(acquired.locks);
  }
  return acquired;
}

void write_records(Acquired& acquired, const LockOptions& options, const Holder& holder) {
  if (!options.record || acquired.locks.empty()) return;
  core::Record record;
  record.writer = acquired.writer ? *acquired.writer : core::own_number();
  record.uid = sys::own_uid();
  if (!holder.program.empty()) record.command = {holder.program.substr(holder.program.rfind('/') + 1)};
  record.cwd = sys::working_directory();
  record.since = utc_now();
  record.note = options.note;
  record.verb = holder.verb;
  record.while_pid = holder.while_pid;
  for (core::HeldLock& lock : acquired.locks) {
    const auto written = lock.write_record(record);
    const std::string& path = lock.files().back().path;
    if (written && *written == core::Recorded::first_written) acquired.git.look_at(lock.files().back().name, options);
    const std::string why = written ? reason_of(*written) : failure_from(written.error()).why;
    const bool is_reported =
        options.verbosity == Verbosity::verbose || (holder.verb == "hold" && options.verbosity != Verbosity::quiet);
    if (is_reported && !why.empty()) note(fmt::format("no holder record: {}: {}", path, why));
  }
}

void identify_writer(Acquired& acquired, const LockOptions& options) {
  if (options.record && !acquired.writer) acquired.writer = core::own_identity();
}

void complete_records(Acquired& acquired, const LockOptions& options) {
  if (!options.record || acquired.writer || acquired.locks.empty()) return;
  identify_writer(acquired, options);
  for (core::HeldLock& lock : acquired.locks) lock.complete_record(*acquired.writer);
}

}  // namespace grex::cli
