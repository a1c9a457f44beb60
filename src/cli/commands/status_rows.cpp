#include "cli/commands/status_rows.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "cli/report/holder_text.hpp"

namespace grex::cli {
namespace {

using core::LockProcess;
using core::LockReport;
using core::LockState;

std::string details_of(const LockProcess& process, const std::string& path) {
  std::vector<std::string> known;
  if (!process.slot && !process.file.empty() && process.file != path) known.push_back("at " + printable(process.file));
  if (!process.cwd.empty()) known.push_back("in " + printable(process.cwd));
  if (process.since) known.push_back("since " + format_utc(*process.since));
  if (process.verb && !process.verb->empty())
    known.push_back(fmt::format("by 'grex-lock {}'", printable(*process.verb)));
  if (process.mode == sys::Mode::shared) known.emplace_back("shared");
  return fmt::format("{}", fmt::join(known, ", "));
}

Row row_of(const LockProcess& process, const LockReport& lock, const StatusReport& report, const std::string& indent) {
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
  if (process.since && *process.since <= now) row.time = format_duration(now - *process.since);
  row.command = indent + command_of(process);
  row.details = details_of(process, lock.path);
  return row;
}

// Who held the lock before it became free.
Row row_of_last(const core::LastHolder& last, const LockReport& lock, const StatusReport& report) {
  Row row = row_of(last.process, lock, report, "");
  row.label = "last";
  row.time = format_duration(last.release.held);
  if (last.release.time <= report.taken_at) {
    row.command += fmt::format(", released {} ago", format_duration(report.taken_at - last.release.time));
  }
  if (last.release.exit_code) row.command += fmt::format(", exit code {}", *last.release.exit_code);
  return row;
}

// The holders of a lock, or of one slot, each followed by those of its children that hold it, too.
void add_tree(const LockReport& lock, std::optional<pid_t> parent, std::optional<unsigned> slot, std::size_t depth,
              const StatusReport& report, std::vector<Row>& rows) {
  const std::string indent = depth == 0 ? "" : fmt::format("{:{}}└ ", "", (depth - 1) * 2);
  for (const LockProcess& process : lock.merged.holders) {
    if (process.parent != parent || process.slot != slot) continue;
    rows.push_back(row_of(process, lock, report, indent));
    if (process.pid && process.alive == true) add_tree(lock, process.pid, slot, depth + 1, report, rows);
  }
}

}  // namespace

std::string pid_of(const LockProcess& process) { return process.pid ? std::to_string(*process.pid) : "?"; }

std::string command_of(const LockProcess& process) {
  std::string text;
  if (process.alive == false) text += "(gone) ";
  if (process.note && !process.note->empty()) text += fmt::format("[{}] ", printable(*process.note));
  text += shell_line(process.command);
  return text;
}

std::vector<Row> rows_of(const LockReport& lock, const StatusReport& report, const std::set<pid_t>& stuck) {
  std::vector<Row> rows;
  std::set<std::optional<unsigned>> slots;
  for (const LockProcess& process : lock.merged.holders) slots.insert(process.slot);
  for (const auto slot : slots) {
    const std::size_t first = rows.size();
    add_tree(lock, std::nullopt, slot, 0, report, rows);
    if (first < rows.size()) rows[first].label = slot ? fmt::format("slot {}", *slot) : "held by";
  }
  if (lock.merged.state == LockState::held && rows.empty()) {
    rows.emplace_back();
    rows.back().label = "held by";
    rows.back().command = "a process that can't be seen from here";
  }
  if (lock.merged.state == LockState::free && lock.merged.last) {
    rows.push_back(row_of_last(*lock.merged.last, lock, report));
  }
  for (const LockProcess& process : lock.merged.waiters) {
    rows.push_back(row_of(process, lock, report, ""));
    rows.back().label = "waiting";
    rows.back().is_stuck = process.pid && stuck.contains(*process.pid);
  }
  return rows;
}

}  // namespace grex::cli
