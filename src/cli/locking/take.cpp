#include "cli/locking/take.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/deadline.hpp"
#include "base/text.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/cluster_wait.hpp"
#include "cli/locking/guards.hpp"
#include "cli/report/cluster_failure.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/cluster/cluster_locks.hpp"
#include "core/inspect/gate_wait.hpp"
#include "core/lock/layout.hpp"
#include "sys/file/file.hpp"
#include "sys/process/interpreter.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A process whose ancestors have a lock doesn't use gates up to its tier.
core::GateRules gate_rules_of(const core::TierStack& stack) {
  core::GateRules rules;
  rules.must_wait = core::must_wait_at_gate;
  for (const core::StackEntry& entry : stack) {
    if (!rules.above || ordinal_of(entry.tier) > ordinal_of(*rules.above)) rules.above = entry.tier;
  }
  return rules;
}

// Warns before a useless wait. It goes on: the holder may install the program.
void note_missing_program(const std::string& program) {
  // On a file system that doesn't answer, looking for it blocks.
  const auto is_missing = sys::result_within<bool>(std::chrono::seconds(1), [program] {
    const bool is_path = program.find('/') != std::string::npos;
    return is_path ? !sys::exists(program) : sys::find_program(program).empty();
  });
  if (!is_missing.value_or(false)) return;
  note(fmt::format("warning: command not found: {}: it must be there when the lock is free", shell_line({program})));
}

// Also keeps new lock files out of `git status`, and reads our identity for the records,
// because a wait gives the time for it.
class AcquisitionObserver : public WaitAnnouncer {
 public:
  AcquisitionObserver(const LockOptions& options, const GlobalOptions& global, const Events& events,
                      const Holder& holder, Acquired& acquired)
      : WaitAnnouncer(options, global, events),
        options_(options),
        holder_(holder),
        acquired_(acquired),
        pack_file_(core::lock_name(global.layouts.value().front(), core::Tier::per_pack, {}, 0)) {}

  [[nodiscard]] bool has_waited() const { return has_waited_; }

  void wait_begins(const core::Target& target, const core::TargetFile& file) override {
    const bool may_run = holder_.verb == "run" && options_.verbosity != Verbosity::quiet;
    if (!std::exchange(has_waited_, true) && may_run) note_missing_program(holder_.program);
    identify_writer(acquired_, options_);
    WaitAnnouncer::wait_begins(target, file);
  }

  // A pack that was never locked before may be none.
  void lock_file_created(const sys::LockFileName& name) override {
    acquired_.git.look_at(name, options_);
    const bool is_first_of_pack = name.directory && name.name == pack_file_;
    if (is_first_of_pack && options_.verbosity != Verbosity::quiet) note_no_pack(*name.directory);
  }

 private:
  const LockOptions& options_;
  const Holder& holder_;
  Acquired& acquired_;
  std::string pack_file_;  // the first lock file of a pack
  bool has_waited_ = false;
};

// For how long a wait is neither checked nor reported. Not at all if the user expects the check to
// succeed, if the wait may end before it, or if each wait is reported.
milliseconds time_before_check(const LockOptions& options, const Events& events) {
  constexpr milliseconds short_wait(100);
  const bool ends_before = options.timeout && *options.timeout <= short_wait;
  const bool is_reported = events.is_open() || options.verbosity == Verbosity::verbose;
  return options.reentrant != core::Reentrant::no || ends_before || is_reported ? milliseconds(0) : short_wait;
}

// Why there is no record; empty if there is one, or a shared lock, which has none.
std::string reason_of(core::Recorded recorded) {
  switch (recorded) {
    case core::Recorded::written:
    case core::Recorded::first_written:
    case core::Recorded::none:
      break;
    case core::Recorded::read_only:
      return "read-only";
    case core::Recorded::second_name:
      return "has a second hard link, or was removed";
    case core::Recorded::other_content:
      return "contains other data";
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

// The hint if a sharer ran out of time behind a process that waits for the exclusive lock.
Failure with_gate_hint(Failure failure, const core::Target& target) {
  const auto shares = [](const core::LockProcess& holder) { return holder.mode == sys::Mode::shared; };
  const bool is_shared =
      !failure.holders.empty() && std::all_of(failure.holders.begin(), failure.holders.end(), shares);
  if (target.mode() == sys::Mode::shared && is_shared && failure.hint.empty()) {
    failure.hint = "it is held shared, but a process waits for the exclusive lock, which comes first";
  }
  return failure;
}

// What a record says of a holder.
core::Record record_of(core::ProcessIdentity writer, const LockOptions& options, const Holder& holder) {
  core::Record record;
  record.writer = std::move(writer);
  record.uid = sys::own_uid();
  if (!holder.program.empty()) record.command = {program_name(holder.program)};
  record.cwd = sys::working_directory();
  record.since = utc_now();
  record.note = options.note;
  record.verb = holder.verb;
  record.while_pid = holder.while_pid;
  return record;
}

// What is written into a cluster. Without a record, it has to say at least which process to ask.
core::Record remote_record_of(const LockOptions& options, const Holder& holder, Acquired& acquired) {
  identify_writer(acquired, options);
  if (acquired.writer) return record_of(*acquired.writer, options, holder);
  core::Record record;
  record.writer = core::own_number();
  record.since = utc_now();
  return record;
}

// What a cluster keeps of the locks, while they are taken.
struct RemotePart {
  RemotePart(const core::ClusterSettings& settings, const LockOptions& options, const GlobalOptions& global,
             const Events& events, Acquired& acquired, const Holder& holder)
      : announcer(options, global, events, settings.lease),
        locks(*(acquired.cluster = std::make_unique<core::Cluster>(settings)),
              remote_record_of(options, holder, acquired), announcer) {}

  // Why an attempt ended here.
  [[nodiscard]] Failure failure(const core::Attempt& attempt, const LockOptions& options,
                                steady_clock::time_point start) const {
    if (!attempt.end) return cluster_failure(locks.failure(), locks.url());
    return failure_in_cluster(locks.end(), options, start);
  }

  ClusterWaitAnnouncer announcer;
  core::ClusterLocks locks;
};

}  // namespace

bool must_check(const core::Attempt& attempt, const std::vector<core::Target>& targets) {
  return attempt.end && attempt.end->outcome == sys::Acquire::busy && !attempt.is_remote &&
         targets[attempt.at.target].files[attempt.at.file].if_busy != core::WhenBusy::wait;
}

core::WaitPolicy wait_policy_of(const LockOptions& options, steady_clock::time_point start,
                                core::WaitObserver& observer) {
  core::WaitPolicy policy;
  policy.waits = !options.nonblock;
  if (options.timeout && policy.waits) policy.deadline = start + *options.timeout;
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
  Failure failure = busy_failure_soon({name_of(target, file), target.names_from(file), report, audience}, waited);
  if (end.outcome != sys::Acquire::timed_out) return failure;
  return with_gate_hint(timeout_failure(std::move(failure), options.timeout.value_or(std::chrono::nanoseconds(0))),
                        target);
}

Result<Acquired, Failure> take(Plan plan, const LockOptions& options, const GlobalOptions& global, Events& events,
                               const Holder& holder) {
  const auto start = steady_clock::now();
  events.set_locks(plan.targets);
  Acquired acquired;
  AcquisitionObserver observer(options, global, events, holder, acquired);
  core::WaitPolicy policy = wait_policy_of(options, start, observer);
  policy.will_record = options.record;
  policy.before_check = time_before_check(options, events);
  policy.gates = gate_rules_of(plan.stack);
  std::optional<RemotePart> remote;
  if (plan.cluster) policy.remote = &remote.emplace(*plan.cluster, options, global, events, acquired, holder).locks;
  core::Attempt attempt = core::acquire(plan.targets, policy);
  while (must_check(attempt, plan.targets)) {
    const auto reentry = check_busy(plan, attempt.at, options);
    if (!reentry) return reentry.error();
    if (options.nonblock && *reentry == Reentry::none) break;
    policy.gates = gate_rules_of(plan.stack);
    attempt = core::acquire(plan.targets, policy);
  }
  if (attempt.is_remote) return remote->failure(attempt, options, start);
  if (!attempt.end || attempt.end->outcome != sys::Acquire::held) {
    return acquisition_failure(attempt, plan.targets, options, audience_of(options, global, events), start);
  }
  if (acquired.cluster && !acquired.cluster->has_locks()) acquired.cluster.reset();
  acquired.waited = elapsed_since(start);
  acquired.is_inherited = !plan.already_ours.empty();
  acquired.stack = std::move(plan.stack);
  acquired.locks = std::move(attempt.locks);
  for (core::StackEntry& entry : core::entries_of(acquired.locks)) core::add_entry(acquired.stack, std::move(entry));
  events.set_locks(acquired.locks);
  events.acquired(acquired.waited, plan.guards);
  if (options.verbosity == Verbosity::verbose && !acquired.locks.empty()) {
    note_locked(paths_of(acquired.locks), observer.has_waited() ? acquired.waited : milliseconds(0));
    if (!plan.guards.empty()) note(fmt::format("guarded: {}", fmt::join(plan.guards, ", ")));
    if (acquired.cluster) {
      note(fmt::format("in {}: {}", plan.cluster->url, cluster_text_of(acquired.locks)));
      if (const std::string& caveat = acquired.cluster->caveat(); !caveat.empty()) note(caveat);
    }
    note_caveats(acquired.locks);
  }
  return acquired;
}

std::string nothing_to_lock(const Acquired& acquired) {
  return std::string("nothing to lock: ") +
         (acquired.is_inherited ? "an ancestor holds it" : "--slots 0 means no limit");
}

void note_locked(const std::string& paths, milliseconds waited) {
  note(fmt::format("locked {}{}", paths, waited.count() > 0 ? " after " + format_duration(waited) : ""));
}

void write_records(Acquired& acquired, const LockOptions& options, const Holder& holder) {
  if (!options.record || acquired.locks.empty()) return;
  const core::Record record = record_of(acquired.writer ? *acquired.writer : core::own_number(), options, holder);
  for (core::HeldLock& lock : acquired.locks) {
    if (lock.files().empty()) continue;
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

RecordCompletion::RecordCompletion(Acquired& acquired, const LockOptions& options)
    : acquired_(acquired), options_(options) {
  const bool is_needed = options.record && !acquired.writer && !acquired.locks.empty();
  if (is_needed) due_ = Deadline::clock::now() + milliseconds(100);
}

void RecordCompletion::do_now() {
  due_.reset();
  identify_writer(acquired_, options_);
  for (core::HeldLock& lock : acquired_.locks) lock.complete_record(*acquired_.writer);
}

}  // namespace grex::cli
