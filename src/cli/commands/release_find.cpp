#include "cli/commands/release_find.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

#include "base/exit_code.hpp"
#include "cli/args/command_line.hpp"
#include "cli/report/holder_text.hpp"
#include "core/inspect/find_lost.hpp"
#include "core/inspect/inspect.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/liveness.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/lock/flock.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

using core::LockProcess;
using core::LockState;
using sys::Names;
using HoldKind = core::Hold::Kind;

Names count_names(const sys::LockFileName& name, const sys::FileStatus& before) {
  sys::finish_changes_of(name);
  return sys::count_names(before, sys::status_of_lock_file(name));
}

// A removed file has no name; only a name that it had all the time can be another pack's.
Names count_names(const core::LostFile& lost, const sys::FileStatus& before) {
  const auto now = sys::status_of(lost.descriptor);
  return before.names > 0 || (now && now->names > 0) ? Names::several : Names::one;
}

void add_holds(const core::FileToInspect& file, const core::FileReport& report, HoldInspection& found) {
  for (core::Hold& hold : core::find_holds(report, is_hold_command)) {
    if (hold.kind == HoldKind::ours) {
      const Names names = file.lost ? count_names(*file.lost, *report.file) : count_names(file.name, *report.file);
      if (names != Names::one) found.linked = file.name.path();
      found.has_changed = found.has_changed || names == Names::unknown;
    }
    const auto is_it = [&hold](const core::Hold& other) { return other.pid == hold.pid; };
    const auto same = std::find_if(found.holds.begin(), found.holds.end(), is_it);
    if (same == found.holds.end()) {
      found.holds.push_back(std::move(hold));
    } else if (hold.kind == HoldKind::ours) {
      *same = std::move(hold);
    }
  }
}

void add_file(const core::FileToInspect& file, core::FileReport report, HoldInspection& found) {
  found.is_held = found.is_held || core::may_be_in_use(report.state);
  if (report.file) found.files.push_back(report.file->id);
  if (report.state == LockState::unknown) {
    found.is_known = false;
    if (report.lease) found.lease = report.lease;
  }
  if (report.why_unknown && report.why_unknown->kind == ErrorKind::unsafe_file) found.unsafe = report.why_unknown;
  // What only a record says of its place is no reason to end a hold.
  const std::string moved_to = file.lost ? file.lost->moved_to : "";
  if (moved_to.empty()) {
    add_holds(file, report, found);
  } else if (!report.holders.empty()) {
    found.moved_to = moved_to;
  }
  for (const LockProcess& waiter : report.waiters) found.waiters.insert(waiter.pid.value_or(0));
  core::add_processes(found.holders, std::move(report.holders), file.name.path());
}

core::WantedLock wanted_of(const core::Target& target) {
  core::WantedLock wanted{target.tier(), target.path};
  for (const core::TargetFile& file : target.files) wanted.layouts.push_back(file.layout);
  return wanted;
}

Failure refusal(const LockName& lock, HoldInspection& found, std::string why, ErrorKind kind) {
  Failure failure = not_released(lock, std::move(why), kind);
  failure.exit_code = exit_code::no_hold;
  failure.holders = std::move(found.holders);
  return failure;
}

// By its other name, it may be the lock of another pack, which PATH doesn't name.
Failure link_refusal(const LockName& lock, HoldInspection& found) {
  const char* const why = found.has_changed ? "keeps changing, so it may be another pack's lock"
                                            : "has a second hard link, so it may be another pack's lock";
  Failure failure = refusal(lock, found, why, ErrorKind::unsafe_file);
  failure.path = found.linked;
  failure.exit_code = exit_code::permission;
  failure.hint = "to end the hold: " + kill_line({found.holds.front().pid});
  return failure;
}

Failure owner_refusal(const LockName& lock, HoldInspection& found, pid_t pid) {
  const auto owner = sys::owner_of(pid);
  const std::string user = owner ? sys::user_name(*owner) : "another user";
  Failure failure = refusal(lock, found, fmt::format("hold pid {} belongs to {}", pid, user), ErrorKind::permission);
  failure.hint = fmt::format("ask {}, or use sudo", user);
  return failure;
}

const LockProcess* find_process(const std::vector<LockProcess>& processes,
                                const std::function<bool(const LockProcess&)>& is_it) {
  const auto found = std::find_if(processes.begin(), processes.end(), is_it);
  return found == processes.end() ? nullptr : &*found;
}

// How to end these processes; empty if there are none.
std::string kill_hint(std::vector<pid_t> pids) {
  if (pids.empty()) return {};
  constexpr std::size_t most_named = 8;
  const std::size_t count = pids.size();
  pids.resize(std::min(count, most_named));
  std::string whom = count == 1 ? "it" : "them";
  if (count > most_named) whom += fmt::format(" (and {} more)", count - most_named);
  return fmt::format("to end {}: {}", whom, kill_line(pids));
}

// Why the holders are no hold. What the record says of its writer is repeated, but never a
// reason to end it.
Failure other_refusal(const LockName& lock, HoldInspection& found) {
  const std::string holder = holder_text(found.holders, utc_now());
  const std::string line = "held by " + holder;
  const auto refused = [&](std::string why) { return refusal(lock, found, std::move(why), ErrorKind::not_held); };
  const auto held_by = [&holder](std::string_view whom) { return fmt::format("held by {}{}", whom, holder); };
  if (!found.holds.empty()) return refused(held_by("a process that could not be verified: "));
  if (!found.moved_to.empty()) {
    Failure failure = refused(fmt::format("the lock file was moved to {}: {}", found.moved_to, line));
    if (!failure.holders.empty() && failure.holders.front().pid) {
      failure.hint = "to end it: " + kill_line({*failure.holders.front().pid});
    }
    return failure;
  }
  const LockProcess* const named = find_process(found.holders, [](const LockProcess& process) {
    return process.verb && !process.verb->empty() && *process.verb != "hold";
  });
  const bool is_any_seen =
      find_process(found.holders, [](const LockProcess& process) { return process.pid.has_value(); }) != nullptr;
  if (named == nullptr && !is_any_seen) return refused(line + ", which may be a 'grex-lock hold'");
  if (named == nullptr && !lone_descriptor(found.holders.front()).empty()) return refused(line);
  if (named == nullptr) return refused(held_by("a process that is not a 'grex-lock hold': "));
  const bool is_left = named->alive == false && named->verb == "run";
  std::vector<pid_t> alive;
  for (const LockProcess& process : found.holders) {
    const bool keeps_lock = process.alive == true && process.pid;
    if (keeps_lock && (is_left || &process == named)) alive.push_back(*process.pid);
  }
  Failure failure =
      refused(held_by(is_left ? "the command of a 'grex-lock run': " : fmt::format("'grex-lock {}' ", *named->verb)));
  failure.hint = kill_hint(std::move(alive));
  return failure;
}

// Why there is none that may be ended.
Failure no_hold(const LockName& lock, HoldInspection& found) {
  if (found.unsafe) return failure_from(*found.unsafe, lock.tier);
  if (found.was_held) return no_longer_held(lock);
  if (!found.is_held) return refusal(lock, found, "no process holds it", ErrorKind::not_held);
  for (const core::Hold& hold : found.holds) {
    if (hold.kind == HoldKind::anothers) return owner_refusal(lock, found, hold.pid);
  }
  if (found.holders.empty() && found.lease) {
    return refusal(lock, found, lease_text(*found.lease), ErrorKind::not_held);
  }
  return other_refusal(lock, found);
}

// Leaves of the holders and holds only those of one process. Returns whether that may hold
// the lock.
bool keep_only(pid_t pid, HoldInspection& found) {
  std::erase_if(found.holds, [pid](const core::Hold& hold) { return hold.pid != pid; });
  const auto is_other = [pid](const LockProcess& process) { return process.pid != pid; };
  const bool is_a_holder = !std::all_of(found.holders.begin(), found.holders.end(), is_other);
  if (is_a_holder) std::erase_if(found.holders, is_other);
  return is_a_holder || !found.is_known;
}

bool is_for(const core::StackEntry& entry, const LockName& lock, const HoldInspection& found) {
  const bool is_its_file = std::find(found.files.begin(), found.files.end(), entry.file) != found.files.end();
  return is_its_file || is_of_lock(entry, lock);
}

// The entries of the stack for this lock. That of a process that holds it and is no hold is
// left out: it may run this command below a lock of its own.
core::TierStack entries_for(const core::TierStack& stack, const LockName& lock, const HoldInspection& found,
                            const core::ProcessNumbers& numbers) {
  core::TierStack entries;
  for (const core::StackEntry& entry : stack) {
    if (is_for(entry, lock, found)) entries.push_back(entry);
  }
  for (const LockProcess& holder : found.holders) {
    const auto is_it = [&holder](const core::Hold& hold) { return hold.pid == holder.pid; };
    if (!holder.pid || std::any_of(found.holds.begin(), found.holds.end(), is_it)) continue;
    const auto number = numbers.here(*holder.pid);
    std::erase_if(entries, [&number](const core::StackEntry& entry) { return entry.pid == number; });
  }
  return entries;
}

// Whether an entry is that of a hold, and not of an earlier process that had its number.
bool is_entry_of(const core::StackEntry& entry, const core::Hold& hold, const core::ProcessNumbers& numbers) {
  if (numbers.here(hold.pid) != entry.pid) return false;
  const auto started = core::start_time_ns(hold.pid);
  if (!started) return true;
  const std::int64_t in_its_clock = *started - core::boot_offset_from(hold.pid);
  return core::compare_start(entry, in_its_clock) != core::EntryFacts::Process::another;
}

// Leaves of the holds only the one that the stack names. Returns the entries that name one;
// none if the stack says nothing about the lock.
core::TierStack keep_named(const core::TierStack& stack, const LockName& lock, HoldInspection& found) {
  if (stack.empty()) return {};
  const auto numbers = core::ProcessNumbers::read();
  core::TierStack entries = entries_for(stack, lock, found, numbers);
  if (entries.empty()) return entries;
  std::erase_if(found.holds, [&](const core::Hold& hold) {
    return std::none_of(entries.begin(), entries.end(),
                        [&](const core::StackEntry& entry) { return is_entry_of(entry, hold, numbers); });
  });
  return entries;
}

bool is_ours(const core::Hold& hold) { return hold.kind == HoldKind::ours; }
bool is_ending(const core::Hold& hold) { return hold.kind == HoldKind::ending; }

}  // namespace

bool is_hold_command(const std::vector<std::string>& command) { return split_command_line(command).verb == "hold"; }

HoldInspection inspect_holds(const core::Target& target) {
  std::vector<core::FileToInspect> files;
  for (const core::TargetFile& file : target.files) {
    for (sys::LockFileName& name : core::files_to_inspect(target, file)) files.push_back({std::move(name)});
  }
  const std::vector<core::Mount> mounts = core::visible_mounts();
  const auto view = core::KernelView::take(mounts);
  std::vector<core::FileReport> reports = core::inspect(files, view, mounts);
  const core::LostScope everywhere = {core::LostScope::Extent::all};
  std::vector<core::FileToInspect> lost;
  for (core::FoundLost& one : core::find_lost({wanted_of(target)}, files, reports, view, mounts, everywhere)) {
    lost.push_back(std::move(one.file));
  }
  std::vector<core::FileReport> lost_reports;
  if (!lost.empty()) lost_reports = core::inspect(lost, view, mounts);

  HoldInspection found;
  for (std::size_t i = 0; i < files.size(); ++i) add_file(files[i], std::move(reports[i]), found);
  for (std::size_t i = 0; i < lost.size(); ++i) add_file(lost[i], std::move(lost_reports[i]), found);
  std::erase_if(found.holds, [&found](const core::Hold& hold) { return found.waiters.contains(hold.pid); });
  const auto comes_before = [](const core::Hold& a, const core::Hold& b) { return a.pid < b.pid; };
  std::sort(found.holds.begin(), found.holds.end(), comes_before);
  return found;
}

Result<std::vector<core::Hold>, Failure> choose_holds(const LockName& lock, HoldInspection found,
                                                      const HoldChoice& choice, const core::TierStack& stack) {
  if (!found.is_held && choice.if_held) return std::vector<core::Hold>();
  if (choice.pid && found.is_held && !keep_only(*choice.pid, found)) {
    if (choice.if_held) return std::vector<core::Hold>();
    return refusal(lock, found, fmt::format("pid {} does not hold it", *choice.pid), ErrorKind::not_held);
  }
  if (!choice.pid && !choice.all && found.is_held) {
    const core::TierStack named = keep_named(stack, lock, found);
    if (!named.empty() && found.holds.empty() && found.is_known) {
      if (choice.if_held) return std::vector<core::Hold>();
      std::string why = fmt::format("pid {} (from {}) no longer holds it", named.front().pid, core::stack_variable);
      Failure failure = refusal(lock, found, std::move(why), ErrorKind::not_held);
      failure.hint = "to end another hold, use --pid PID";
      return failure;
    }
  }
  const bool has_ours = std::any_of(found.holds.begin(), found.holds.end(), is_ours);
  const bool has_ending = std::any_of(found.holds.begin(), found.holds.end(), is_ending);
  if (!has_ours && !has_ending) return no_hold(lock, found);
  std::erase_if(found.holds, [&](const core::Hold& hold) {
    return !is_ours(hold) && !(is_ending(hold) && (choice.all || !has_ours));
  });
  if (!found.linked.empty()) return link_refusal(lock, found);
  if (has_ours && found.holds.size() > 1 && !choice.all) {
    Failure failure = several_holds(lock, found.holds);
    failure.holders = std::move(found.holders);
    return failure;
  }
  return std::move(found.holds);
}

const core::StackEntry* entry_for(const core::TierStack& stack, const LockName& lock, const HoldInspection& found) {
  const auto is_it = [&](const core::StackEntry& entry) { return is_for(entry, lock, found); };
  const auto last = std::find_if(stack.rbegin(), stack.rend(), is_it);
  return last == stack.rend() ? nullptr : &*last;
}

void leave_out_later(const std::set<pid_t>& first, HoldInspection& found) {
  std::erase_if(found.holds, [&first](const core::Hold& hold) { return !first.contains(hold.pid); });
  if (!found.is_held || !found.is_known || found.holders.empty()) return;
  const auto came_later = [&first](const LockProcess& holder) { return !first.contains(holder.pid.value_or(0)); };
  std::erase_if(found.holders, came_later);
  found.was_held = found.holders.empty();
  if (found.was_held) found.is_held = false;
}

Failure no_longer_held(const LockName& lock) {
  return not_released(lock, "the process that held it has ended", ErrorKind::not_held);
}

Failure not_released(const LockName& lock, std::string why, ErrorKind kind) {
  Failure failure;
  failure.kind = kind;
  failure.what = "not released";
  failure.path = lock.path;
  failure.why = std::move(why);
  failure.exit_code = exit_code_of(kind, 0);
  failure.tier = lock.tier;
  return failure;
}

Failure several_holds(const LockName& lock, const std::vector<core::Hold>& holds) {
  std::vector<pid_t> pids;
  for (const core::Hold& hold : holds) pids.push_back(hold.pid);
  Failure failure =
      not_released(lock, fmt::format("several holds: pids {}", fmt::join(pids, ", ")), ErrorKind::not_held);
  failure.hint = "use --pid PID or --all";
  return failure;
}

}  // namespace grex::cli
