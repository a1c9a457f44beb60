#include "cli/commands/status_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <compare>
#include <optional>
#include <utility>

#include "cli/report/holder_text.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using core::LockProcess;
using core::LockReport;
using core::LockState;

// The verb, with all arguments of a hold.
std::string made_by(const LockProcess& process) {
  const std::string verb = printable(*process.verb);
  if (verb != "hold" || process.command.size() < 2) return fmt::format("by 'grex-lock {}'", verb);
  return "by " + shell_line(process.command);
}

std::string details_of(const LockProcess& process, const std::string& path, UtcTime now) {
  std::vector<std::string> known;
  if (!process.slot && !process.file.empty() && process.file != path) known.push_back("at " + printable(process.file));
  if (!process.cwd.empty()) known.push_back("in " + printable(process.cwd));
  if (process.since) known.push_back("since " + format_local(*process.since, now));
  if (process.verb && !process.verb->empty()) known.push_back(made_by(process));
  if (process.mode == sys::Mode::shared) known.emplace_back("shared");
  return fmt::format("{}", fmt::join(known, ", "));
}

// Empty if it is not positive: the clock may have been set back.
std::string time_text(std::chrono::milliseconds duration) {
  return duration.count() > 0 ? format_duration(duration) : std::string();
}

// What a cluster says of a holder. A waiter's rows are in the order of the queue.
std::string seat_text(const std::optional<core::ClusterSeat>& seat) {
  if (!seat || seat->position > 0) return {};
  std::string text = fmt::format(", token {}", seat->token);
  if (seat->lease_left) {
    text += fmt::format(", {} s of lease left",
                        std::chrono::duration_cast<std::chrono::seconds>(*seat->lease_left).count());
  }
  return text;
}

Row row_of(const LockProcess& process, const LockReport& lock, const StatusReport& report, Verbosity verbosity,
           const std::string& indent) {
  const UtcTime now = report.taken_at;
  Row row;
  row.command = lone_descriptor(process);
  if (!row.command.empty()) {
    if (process.since) row.command += fmt::format(", from {} {}", pid_of(process), command_of(process));
    return row;
  }
  row.pid = pid_of(process);
  // On this host, the same PID is another process.
  if (!process.host.empty() && process.host != report.host) row.pid += "@" + printable(process.host);
  row.user = printable(process.user ? *process.user : process.uid ? std::to_string(*process.uid) : "");
  if (process.since) row.time = time_text(now - *process.since);
  row.command = indent + command_of(process) + seat_text(process.seat);
  if (verbosity == Verbosity::verbose) row.details = details_of(process, lock.path, now);
  return row;
}

// Who held the lock before it became free.
Row row_of_last(const core::LastHolder& last, const LockReport& lock, const StatusReport& report, Verbosity verbosity) {
  Row row = row_of(last.process, lock, report, verbosity, "");
  row.label = "last";
  row.time = time_text(last.release.held);
  const std::string since = time_text(report.taken_at - last.release.time);
  row.command += since.empty() ? ", released" : fmt::format(", released {} ago", since);
  if (last.release.exit_code) row.command += fmt::format(", exit code {}", *last.release.exit_code);
  return row;
}

// What is shown as one tree: the holders of a lock, or of one slot. Those of lost files are
// on their own.
struct Group {
  bool is_held = true;  // not lost
  std::optional<unsigned> slot;
  auto operator<=>(const Group&) const = default;
};
Group group_of(const LockProcess& process) { return {!process.is_lost, process.slot}; }

std::string label_of(const Group& group) {
  if (group.slot) return fmt::format("{}slot {}", group.is_held ? "" : "lost ", *group.slot);
  return group.is_held ? "held by" : "lost by";
}

// The nearest process above one that is in the same group.
std::optional<pid_t> parent_in(const Group& group, const LockProcess& process, const LockReport& lock) {
  const auto is_parent = [&](const LockProcess& other) {
    return other.pid == process.parent && group_of(other) == group;
  };
  const auto& holders = lock.merged.holders;
  const bool is_there = process.parent && std::any_of(holders.begin(), holders.end(), is_parent);
  return is_there ? process.parent : std::nullopt;
}

// Each holder is followed by those of its children that hold the lock, too. Those that are
// gone come last, since the others keep the lock.
void add_tree(const LockReport& lock, std::optional<pid_t> parent, const Group& group, std::size_t depth,
              const StatusReport& report, Verbosity verbosity, std::vector<Row>& rows) {
  const std::string indent = depth == 0 ? "" : fmt::format("{:{}}└ ", "", (depth - 1) * 2);
  std::vector<const LockProcess*> siblings;
  for (const LockProcess& process : lock.merged.holders) {
    if (group_of(process) == group && parent_in(group, process, lock) == parent) siblings.push_back(&process);
  }
  std::stable_partition(siblings.begin(), siblings.end(),
                        [](const LockProcess* process) { return process->alive != false; });
  for (const LockProcess* const sibling : siblings) {
    const LockProcess& process = *sibling;
    rows.push_back(row_of(process, lock, report, verbosity, indent));
    if (process.pid && process.alive == true) add_tree(lock, process.pid, group, depth + 1, report, verbosity, rows);
  }
}

// Whether a deadlock goes through this hold: its report says how to break it.
bool is_in_deadlock(pid_t hold, const StatusReport& report) {
  const auto has_it = [hold](const core::StuckProcess& stuck) { return stuck.hold && stuck.hold->pid == hold; };
  return std::any_of(report.deadlocks.begin(), report.deadlocks.end(), [&](const core::DeadlockReport& deadlock) {
    return std::any_of(deadlock.begin(), deadlock.end(), has_it);
  });
}

}  // namespace

std::string pid_of(const LockProcess& process) { return process.pid ? std::to_string(*process.pid) : "?"; }

std::string command_of(const LockProcess& process) {
  std::string text;
  if (process.alive == false) text += "(gone) ";
  if (process.is_stopped) text += "(stopped) ";
  if (process.note && !process.note->empty()) text += fmt::format("[{}] ", printable(*process.note));
  text += shown_command(process);
  return text;
}

std::vector<Row> rows_of(const LockReport& lock, const StatusReport& report, const std::set<pid_t>& stuck,
                         Verbosity verbosity) {
  std::vector<Row> rows;
  std::set<Group> groups;
  for (const LockProcess& process : lock.merged.holders) groups.insert(group_of(process));
  for (const Group& group : groups) {
    const std::size_t first = rows.size();
    add_tree(lock, std::nullopt, group, 0, report, verbosity, rows);
    if (first < rows.size()) rows[first].label = label_of(group);
  }
  if (lock.merged.state == LockState::held && rows.empty()) {
    rows.emplace_back();
    rows.back().label = "held by";
    rows.back().command = invisible_process;
  }
  if (lock.merged.state == LockState::free && lock.merged.last) {
    rows.push_back(row_of_last(*lock.merged.last, lock, report, verbosity));
  }
  for (const LockProcess& process : lock.merged.waiters) {
    rows.push_back(row_of(process, lock, report, verbosity, ""));
    rows.back().label = "waiting";
    rows.back().is_stuck = process.pid && stuck.contains(*process.pid);
  }
  return rows;
}

std::string release_hint_of(const LockReport& lock, const StatusReport& report, std::set<pid_t>& hinted) {
  std::vector<const LockProcess*> holds;  // that no hint has named yet
  std::size_t all = 0;
  for (const LockProcess& process : lock.merged.holders) {
    const auto& words = process.command;
    const bool is_detached = std::find(words.begin(), words.end(), "--detach") != words.end();
    const bool is_here = process.pid && process.alive != false && process.host == report.host;
    if (process.verb != "hold" || !is_here) continue;
    ++all;
    if (is_detached && hinted.insert(*process.pid).second) holds.push_back(&process);
  }
  if (holds.empty() || lock.is_old || lock.cluster || is_in_deadlock(*holds.front()->pid, report)) return {};
  const auto& watched = holds.front()->watched;
  const bool may_end = holds.front()->uid == sys::own_uid() || sys::effective_uid() == 0;
  if (holds.size() == 1 && watched && may_end && !core::is_us_or_above(watched->pid)) {
    return fmt::format("to end it: {} ('grex-lock release' would leave that running without the lock)",
                       kill_line({watched->pid}));
  }
  std::vector<std::string> release;
  if (report.unnamed.contains(lock.target)) release = {"--cluster", "none"};
  if (lock.tier != core::Tier::per_pack) {
    release.insert(release.end(), {"-t", std::string(core::name_of(lock.tier))});
  }
  const bool ends_all = holds.size() == all;
  if (!ends_all) {
    release.insert(release.end(), {"--pid", std::to_string(*holds.front()->pid)});
  } else if (holds.size() > 1) {
    release.emplace_back("--all");
  }
  release.push_back(lock.target);
  const std::string line = own_line("release", std::move(release));
  const auto belongs_to_another = [](const LockProcess* hold) { return hold->uid != sys::own_uid(); };
  const auto other = std::find_if(holds.begin(), holds.end(), belongs_to_another);
  const char* const what = ends_all && holds.size() > 1 ? "to end them" : "to end it";
  if (other == holds.end() || sys::effective_uid() == 0) return fmt::format("{}: {}", what, line);
  const auto& user = (*other)->user;
  return fmt::format("{}, ask {}, or use sudo {}", what, user ? printable(*user) : "its user", line);
}

}  // namespace grex::cli
