#include "cli/commands/status_text.hpp"

#include <fmt/color.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/commands/status_rows.hpp"
#include "cli/report/caveats.hpp"
#include "cli/report/failure.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/printable.hpp"
#include "cli/report/refusal.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using core::LockReport;
using core::LockState;
using fmt::terminal_color;

// Builds a line from pieces, each in its own style, and cuts it to the terminal.
class Line {
 public:
  explicit Line(const TextStyle& style) : style_(style) {}

  void add(std::string_view piece, fmt::text_style text_style = {}) {
    if (is_cut_) return;
    if (!style_.columns) return append(piece, text_style);
    const std::string shown = cut_to(std::string(piece), columns_left());
    is_cut_ = shown != piece;
    width_ += width_of(shown);
    append(shown, text_style);
  }
  // If the path and the text that follows don't fit, cuts the start of the path: its end
  // says most.
  void add_path(std::string_view path, std::string_view following = {}) {
    constexpr std::size_t shortest = 12;
    const std::size_t reserved = std::min(width_of(following), columns_left());
    const std::size_t room = std::max(columns_left() - reserved, std::min(shortest, columns_left()));
    add(style_.columns ? cut_front_to(path, room) : std::string(path));
    add(following);
  }
  [[nodiscard]] std::string with_newline() const {
    const auto end = text_.find_last_not_of(' ');
    return text_.substr(0, end == std::string::npos ? 0 : end + 1) + "\n";
  }

 private:
  void append(std::string_view piece, fmt::text_style text_style) {
    text_ += style_.colored == Colored::yes ? fmt::format(text_style, "{}", piece) : piece;
  }

  [[nodiscard]] std::size_t columns_left() const {
    const std::size_t all = style_.columns.value_or(std::string::npos);
    return all - std::min(all, width_);
  }

  const TextStyle& style_;
  std::string text_;
  std::size_t width_ = 0;
  bool is_cut_ = false;
};

// With spaces up to the width of its column, and the gap behind it.
std::string in_column(std::string_view text, std::size_t width) {
  constexpr std::size_t gap = 2;
  std::string cell(text);
  return cell.append(width - std::min(width, text.size()) + gap, ' ');
}

fmt::text_style color_of(LockState state) {
  switch (state) {
    case LockState::lost:
      return fmt::fg(terminal_color::red) | fmt::emphasis::bold;
    case LockState::held:
      return fmt::fg(terminal_color::yellow);
    case LockState::free:
      return fmt::fg(terminal_color::green);
    case LockState::absent:
      return fmt::emphasis::faint;
    case LockState::unknown:
      break;
  }
  return fmt::fg(terminal_color::red);
}

std::string state_of(const LockReport& lock) {
  const bool is_held = lock.merged.state == LockState::held;
  if (is_held && lock.merged.mode == sys::Mode::shared) return "shared";
  std::string text(core::name_of(lock.merged.state));
  if (is_held && lock.tier == core::Tier::semaphore && !lock.cluster) {
    const bool has_limit = lock.slots > 0 && !lock.are_slots_guessed;
    text += has_limit ? fmt::format(" {}/{}", lock.used, lock.slots) : fmt::format(" {}", lock.used);
  }
  return text;
}

// The caveat of its file system; empty if there is none.
std::string caveat_of(const LockReport& lock) {
  return lock.file_system ? printable(caveat_line(*lock.file_system)) : std::string();
}

std::string evidence_of(const LockReport& lock) {
  std::string known =
      fmt::format("evidence: {}, record: {}", core::name_of(lock.merged.evidence), core::name_of(lock.merged.record));
  if (lock.file_system) known += ", file system: " + printable(lock.file_system->type);
  return known;
}

// The files of a lock other than the one in its own line.
void add_other_files(const LockReport& lock, const TextStyle& style, std::string& text) {
  if (lock.tier == core::Tier::semaphore) return;  // its slots are listed by their holders
  for (const core::ReportedFile& file : lock.files) {
    if (file.path == lock.path && file.state == lock.merged.state) continue;
    Line line(style);
    line.add(fmt::format("  {}: ", core::name_of(file.state)), fmt::emphasis::faint);
    line.add_path(printable(file.path));
    text += line.with_newline();
  }
}

// Why the state of a lock file is not known.
std::string reason_of(const Error& error, const std::string& lock_file) {
  const Failure failure = failure_from(error);
  std::string reason = failure.path == lock_file ? failure.why : failure.path + ": " + failure.why;
  const Refusal refusal = explain_refusal(error);
  if (refusal.why.empty() && !refusal.hint.empty()) reason += ": " + refusal.hint;
  return printable(reason);
}

// What to do about it; may be empty.
std::string hint_of(const Error& error) {
  if (error.kind == ErrorKind::permission && sys::effective_uid() != 0) return "ask its owner, or use sudo";
  return error.kind == ErrorKind::unsafe_file ? printable(failure_from(error).hint) : std::string();
}

// The hints that a report has given.
struct Hinted {
  std::set<std::string> reasons;
  std::set<pid_t> holds;
};

// What to do about a lock; empty if there is nothing to do, or a lock above says it.
std::string hint_below(const LockReport& lock, const StatusReport& report, Hinted& hinted) {
  const auto& error = lock.merged.why_unknown;
  if (lock.merged.state != LockState::unknown || !error) return release_hint_of(lock, report, hinted.holds);
  std::string hint = lock.cluster ? printable(lock.cluster->hint) : hint_of(*error);
  return hinted.reasons.insert(error->path + hint).second ? hint : std::string();
}

void add_hint(const std::string& hint, const TextStyle& style, std::string& text) {
  if (hint.empty()) return;
  Line line(style);
  line.add("  " + hint, fmt::emphasis::faint);
  text += line.with_newline();
}

void add_lock(const LockReport& lock, const std::string& caveat, const std::vector<Row>& rows, const Widths& widths,
              const std::string& hint, const TextStyle& style, std::string& text) {
  Line line(style);
  line.add(in_column(core::name_of(lock.tier), widths.tier));
  line.add(in_column(state_of(lock), widths.state), color_of(lock.merged.state));
  line.add_path(printable(lock.path), lock.cluster  ? "  in etcd " + printable(lock.cluster->ns)
                                      : lock.is_old ? "  (old)"
                                                    : "");
  text += line.with_newline();
  if (lock.cluster && !lock.cluster->trouble.empty()) {
    Line reason(style);
    reason.add("  " + printable(lock.cluster->trouble), fmt::fg(terminal_color::red));
    text += reason.with_newline();
  }
  if (lock.merged.state == LockState::unknown && lock.merged.why_unknown && !lock.cluster) {
    Line reason(style);
    reason.add("  " + reason_of(*lock.merged.why_unknown, lock.path), fmt::fg(terminal_color::red));
    text += reason.with_newline();
  }
  if (lock.merged.state == LockState::lost) {
    Line reason(style);
    reason.add("  the locked file was removed or replaced: it excludes no other process", fmt::fg(terminal_color::red));
    text += reason.with_newline();
  }
  if (lock.merged.lease) {
    Line lease(style);
    lease.add("  " + lease_text(*lock.merged.lease), fmt::fg(terminal_color::yellow));
    text += lease.with_newline();
  }
  if (style.verbosity == Verbosity::verbose && lock.merged.state != LockState::absent) {
    Line more(style);
    more.add("  " + evidence_of(lock), fmt::emphasis::faint);
    text += more.with_newline();
    add_other_files(lock, style, text);
  }
  if (!caveat.empty()) {
    Line warning(style);
    warning.add("  " + caveat, fmt::fg(terminal_color::yellow));
    text += warning.with_newline();
  }
  const bool is_slot_held = lock.tier == core::Tier::semaphore && lock.merged.state == LockState::held;
  if (is_slot_held && lock.are_slots_guessed && !lock.cluster) {
    add_hint(fmt::format("of {} by default; --slots N if jobs have another number", lock.slots), style, text);
  }
  for (const Row& row : rows) {
    Line entry(style);
    entry.add(fmt::format("  {:<{}}  ", row.label, widths.label));
    entry.add(fmt::format("{:>{}}  ", row.pid, widths.pid),
              row.is_stuck ? fmt::fg(terminal_color::red) : fmt::text_style(fmt::emphasis::bold));
    if (widths.user > 0) entry.add(fmt::format("{:<{}}  ", row.user, widths.user));
    if (widths.time > 0) entry.add(fmt::format("{:>{}}  ", row.time, widths.time));
    entry.add(row.command);
    text += entry.with_newline();
    if (style.verbosity != Verbosity::verbose || row.details.empty()) continue;
    Line details(style);
    details.add(fmt::format("  {:<{}}  {}", "", widths.label, row.details), fmt::emphasis::faint);
    text += details.with_newline();
  }
  add_hint(hint, style, text);
}

// How to break a deadlock.
std::string way_out_of(const core::DeadlockReport& deadlock) {
  const std::optional<pid_t> pid = deadlock.front().process.pid;
  const std::string kill = pid ? kill_line({*pid}) : "";
  if (deadlock.size() == 1) return kill.empty() ? kill : "to break it: " + kill;
  return fmt::format("to break it, end one of them{}; --graph draws it",
                     kill.empty() ? kill : ", for example: " + kill);
}

// Which script it is that has the lock.
void add_hold(const core::LockProcess& process, const core::StuckHold& hold, const std::string& lock,
              const TextStyle& style, std::string& text) {
  const auto& [pid, command] = hold.watched;
  Line line(style);
  line.add(process.pid == pid ? "    has " : fmt::format("    in {}: {}, which has ", pid, shell_line(command)));
  line.add_path(lock.empty() ? "a lock" : printable(lock),
                fmt::format(" by hold {}{}", hold.pid, hold.is_in_stack ? "" : ", but not in GREX_LOCK_STACK"));
  text += line.with_newline();
}

void add_deadlock(const core::DeadlockReport& deadlock, const TextStyle& style, std::string& text) {
  Line title(style);
  title.add("deadlock: ", fmt::fg(terminal_color::red) | fmt::emphasis::bold);
  title.add(deadlock.size() == 1 ? "this process waits for a lock that is held until this process ends"
                                 : "each process waits for a lock that the next one holds");
  text += title.with_newline();
  for (std::size_t i = 0; i < deadlock.size(); ++i) {
    const auto& [process, lock, hold] = deadlock[i];
    Line line(style);
    line.add("  ");
    line.add(pid_of(process), fmt::fg(terminal_color::red));
    line.add("  " + command_of(process));
    text += line.with_newline();
    if (hold) add_hold(process, *hold, deadlock[(i + deadlock.size() - 1) % deadlock.size()].waits_for, style, text);
    Line wait(style);
    wait.add("    waits for ");
    const std::string holder = pid_of(deadlock[(i + 1) % deadlock.size()].process);
    wait.add_path(lock.empty() ? "a lock" : printable(lock),
                  deadlock.size() == 1 ? std::string() : fmt::format(", held by {}", holder));
    text += wait.with_newline();
  }
  add_hint(way_out_of(deadlock), style, text);
  text += "\n";
}

}  // namespace

std::string status_text(const StatusReport& report, const TextStyle& style) {
  std::set<pid_t> stuck;
  std::string text;
  for (const core::DeadlockReport& deadlock : report.deadlocks) {
    add_deadlock(deadlock, style, text);
    for (const core::StuckProcess& process : deadlock) stuck.insert(process.process.pid.value_or(0));
  }
  Widths widths;
  std::vector<const LockReport*> locks;
  std::vector<std::vector<Row>> rows;
  for (const LockReport& lock : report.locks) {
    if (style.verbosity != Verbosity::verbose && lock.merged.state == LockState::absent) continue;
    locks.push_back(&lock);
    rows.push_back(rows_of(lock, report, stuck, style.verbosity));
    widths.tier = std::max(widths.tier, core::name_of(lock.tier).size());
    widths.state = std::max(widths.state, state_of(lock).size());
    for (const Row& row : rows.back()) widths.fit(row);
  }
  Hinted hinted;
  std::string last_caveat;  // shown once for consecutive locks on one file system
  for (std::size_t i = 0; i < locks.size(); ++i) {
    const std::string caveat = caveat_of(*locks[i]);
    add_lock(*locks[i], caveat != last_caveat ? caveat : std::string(), rows[i], widths,
             hint_below(*locks[i], report, hinted), style, text);
    last_caveat = caveat;
  }
  return text;
}

}  // namespace grex::cli
