#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::cli {
namespace {

struct FdOptions {
  GlobalOptions global;
  LockOptions lock;
  std::optional<int> number;
  bool unlock = false;
  bool print_export = false;
};

void define(Parser& parser, FdOptions& options) {
  add_global_options(parser, options.global);
  add_number(parser, "N", options.number, "N", "the descriptor")->required();
  auto* const unlock = parser.add_flag("-u,--unlock", options.unlock, "unlock it instead")->group("Lock");
  add_choice_options(parser, options.lock);
  add_waiting_options(parser, options.lock);
  add_record_options(parser, options.lock);
  parser.add_flag("--export", options.print_export, "print 'export GREX_LOCK_STACK=...' for eval")->group("General");
  for (const char* const other : {"--shared", "--exclusive", "--nonblock", "--timeout", "--reentrant"}) {
    if (CLI::Option* const option = parser.get_option_no_throw(other)) Parser::exclude(unlock, option);
  }
  parser.set_help("Lock the file that descriptor N of the calling shell has open.", "grex-lock fd [OPTIONS] N",
                  "Examples:\n"
                  "  exec 9>>~/ws/app/.grex-lock && grex-lock fd -w 2m 9   # till the script ends\n"
                  "  grex-lock fd -u 9");
}

// The file that the caller has open on a descriptor. `file` has a duplicate of that
// descriptor, so its lock is the caller's.
struct OpenFile {
  sys::LockFile file;
  LockName name;
  std::string path;           // empty if unknown
  bool is_grex_lock = false;  // otherwise, its content must not be changed
};

Result<OpenFile, Failure> find_file(int number, core::Tier tier) {
  const sys::Access access = sys::access_of(number);
  if (access == sys::Access::closed) {
    return usage_failure(fmt::format("descriptor {} is not open", number),
                         fmt::format("open it in the shell first, as by 'exec {}>>FILE'", number));
  }
  const auto status = sys::status_of(number);
  if (!status) return failure_from(status.error());
  std::string path = sys::path_of(number);
  constexpr std::string_view no_name = " (deleted)";  // proc(5), /proc/PID/fd
  if (path.ends_with(no_name) && !sys::exists(path)) path.resize(path.size() - no_name.size());
  if (!path.starts_with('/')) path.clear();  // such as "(unreachable)…", or "pipe:[…]"
  const std::string shown = path.empty() ? fmt::format("descriptor {}", number) : path;
  if (status->type != sys::FileType::regular) {
    Failure failure = failure_from({ErrorKind::unsafe_file, "fstat", shown, 0});
    failure.hint = fmt::format("open a lock file, as by 'exec {}>>PATH/.grex-lock'", number);
    return failure;
  }
  auto copy = sys::duplicate(number);
  if (!copy) return failure_from(copy.error());
  const auto named_tier = core::tier_of_lock_file(path);
  // The shell may have created a file that is empty.
  return OpenFile{{std::move(*copy), status->id, access == sys::Access::reading || status->names > 1, status->changed,
                   status->size == 0},
                  {named_tier.value_or(tier), shown},
                  path,
                  named_tier.has_value()};
}

// The lock that the caller's descriptor already has. It may be taken again, also in the
// other mode, whatever the stack says.
std::optional<core::KernelLock> lock_of(int number) {
  const auto locks = core::locks_on({sys::own_process, number, {}});
  return !locks || locks->empty() ? std::nullopt : std::optional(locks->front());
}

// Whether the file has a record that `fd` wrote: only `fd` empties it.
bool has_record(const OpenFile& open) {
  if (!open.is_grex_lock || open.file.must_not_write) return false;
  const auto record = core::record_in(open.file, open.path);
  return record && record->verb == "fd";
}

// A lock on a file that was removed or replaced excludes no process.
Result<void, Failure> refuse_replaced(const OpenFile& open, int number) {
  if (open.path.empty()) return {};
  const auto named = sys::status_of(open.path);
  if (!named || named->id == open.file.id) return {};
  Failure failure = failure_from({ErrorKind::unsafe_file, "stat", open.name.path, 0}, open.name.tier);
  failure.why = "the file was removed or replaced since it was opened";
  failure.hint = fmt::format("open it again, as by 'exec {}>>FILE'", number);
  return failure;
}

// What `fd` takes a lock under.
struct Ancestors {
  core::TierStack stack;
  Reentry reentry = Reentry::none;
};

// Takes the lock, and waits for it as long as the options allow; `ours` if it turns out
// that an ancestor has it.
Result<Reentry, Failure> wait_for_lock(const OpenFile& open, Ancestors& ancestors, const FdOptions& options,
                                       const Events& events) {
  const auto start = std::chrono::steady_clock::now();
  const LockOptions& lock = options.lock;
  const BusyReport report = busy_report_of(lock);
  const int fd = open.file.fd.get();
  const auto failed = [&open](const Error& error) {
    return failure_from(at_path(error, open.name.path), open.name.tier);
  };
  const BusyLock busy = {open.name, {open.name.path}, report, audience_of(lock, options.global, events)};
  const auto tried = sys::try_lock(fd, lock.mode);
  if (!tried) return failed(tried.error());
  if (*tried == sys::Acquire::held) return Reentry::none;
  if (ancestors.reentry == Reentry::seems) {
    auto again = check_again(open.name, {open.file.id}, ancestors.stack, lock);
    if (!again || *again == Reentry::ours) return again;
  }
  if (lock.nonblock) return busy_failure_soon(busy);

  const auto progress =
      announce_wait(lock, options.global, events, {{open.name.path}, {}}, unknown_holder_failure(busy),
                    [busy](const StopToken& should_stop) { return busy_failure(busy, should_stop); });
  std::optional<Deadline> deadline;
  if (lock.timeout) deadline = start + *lock.timeout;
  const auto end = sys::wait_lock(fd, lock.mode, deadline);
  if (!end) return failed(end.error());
  if (end->outcome == sys::Acquire::cancelled) return cancelled_failure(open.name, end->signal, report);
  if (end->outcome == sys::Acquire::timed_out) return timeout_failure(busy_failure_soon(busy), elapsed_since(start));
  return Reentry::none;
}

Outcome print_result(const core::TierStack& stack, const std::vector<core::HeldLock>& held, const FdOptions& options) {
  if (options.print_export) return print(export_line(stack));
  return options.global.json ? print(held_document("fd", held)) : ExitStatus{};
}

void drop_from(core::TierStack& stack, sys::FileId file) {
  std::erase_if(stack, [file](const core::StackEntry& entry) { return entry.file == file; });
}

// When the lock was taken that a descriptor has already, if the stack lists it.
std::optional<std::uint64_t> time_in(const core::TierStack& stack, const OpenFile& open,
                                     const core::KernelLock& existing) {
  const auto is_it = [&](const core::StackEntry& entry) {
    return entry.file == open.file.id && entry.pid == existing.pid;
  };
  const auto entry = std::find_if(stack.begin(), stack.end(), is_it);
  return entry == stack.end() ? std::nullopt : entry->taken;
}

// A lock that is taken again in the same mode still belongs to the process that took it first.
Outcome keep_lock(OpenFile open, const core::KernelLock& existing, core::TierStack stack, const FdOptions& options) {
  const auto taken = time_in(stack, open, existing);
  drop_from(stack, open.file.id);
  std::vector<core::HeldLock> locks;
  locks.emplace_back(std::move(open.file), open.name.tier, open.name.path, existing.mode);
  core::StackEntry entry = locks.front().stack_entry();
  if (existing.pid > 0) entry.pid = existing.pid;
  entry.taken = taken;
  stack.push_back(std::move(entry));
  Outcome outcome = print_result(stack, locks, options);
  locks.front().abandon();
  return outcome;
}

Outcome take_lock(OpenFile open, Ancestors ancestors, const FdOptions& options, Events& events) {
  const auto start = std::chrono::steady_clock::now();
  // A signal that killed us after the shell got the lock would look like a cancelled
  // wait.
  const auto signals = sys::BlockedSignals::begin();
  if (!signals) return failure_from(signals.error());
  events.set_locks({{open.name.tier, open.name.path, options.lock.mode}});
  const auto reentry = wait_for_lock(open, ancestors, options, events);
  if (!reentry) return reentry.error();
  if (*reentry == Reentry::ours) return print_result(ancestors.stack, {}, options);
  auto same = refuse_replaced(open, *options.number);
  const bool is_grex_lock = open.is_grex_lock;
  const bool is_new = open.file.is_new;
  Acquired acquired;
  acquired.stack = std::move(ancestors.stack);
  acquired.locks.emplace_back(std::move(open.file), open.name.tier, open.name.path, options.lock.mode);
  if (!same) return same.error();

  if (options.lock.verbosity == Verbosity::verbose) note_caveats(acquired.locks);
  core::add_entry(acquired.stack, acquired.locks.front().stack_entry());
  if (is_grex_lock && is_new) acquired.git.look_at(acquired.locks.front().path(), options.lock);
  // The record shows the shell that has the descriptor as the command.
  if (is_grex_lock) {
    const auto shell = sys::process_file(sys::parent_pid(), "cmdline");
    write_records(acquired, options.lock, "fd", sys::parse_command_line(shell.value_or("")));
  }
  const Outcome outcome = print_result(acquired.stack, acquired.locks, options);
  if (const auto signal = signals->next()) {
    return cancelled_failure(name_of(acquired.locks.front()), *signal, busy_report_of(options.lock));
  }
  if (!outcome) return outcome;
  events.acquired(elapsed_since(start));
  for (core::HeldLock& held : acquired.locks) held.abandon();
  return outcome;
}

Outcome lock(OpenFile open, const FdOptions& options, Events& events) {
  const auto live = live_stack(options.lock);
  if (!live) return live.error();
  core::TierStack stack = core::live_entries(*live);
  const auto existing = lock_of(*options.number);
  if (!existing) {
    const auto reentry = reentry_of(open.name, {open.file.id}, *live, options.lock);
    if (!reentry) return reentry.error();
    if (*reentry == Reentry::ours) return print_result(stack, {}, options);
    return take_lock(std::move(open), {std::move(stack), *reentry}, options, events);
  }
  if (auto same = refuse_replaced(open, *options.number); !same) return same.error();
  if (existing->mode == options.lock.mode) return keep_lock(std::move(open), *existing, std::move(stack), options);
  if (options.lock.mode == sys::Mode::shared && has_record(open)) {
    (void)sys::replace_content(open.file.fd.get(), {});  // a shared lock has none
  }
  drop_from(stack, open.file.id);
  Outcome outcome = take_lock(std::move(open), {std::move(stack)}, options, events);
  if (!outcome && outcome.error().hint.empty()) {
    outcome.error().hint =
        fmt::format("the {} lock that the descriptor had is gone: flock(2) gives it up to change the mode",
                    sys::name_of(existing->mode));
  }
  return outcome;
}

Outcome unlock(OpenFile open, const FdOptions& options, Events& events) {
  events.set_locks({{open.name.tier, open.name.path, sys::Mode::exclusive}});
  const auto live = live_stack(options.lock);
  if (!live) return live.error();
  core::TierStack stack = core::live_entries(*live);
  drop_from(stack, open.file.id);
  const bool had_record = has_record(open);
  core::HeldLock held(std::move(open.file), open.name.tier, open.name.path, sys::Mode::exclusive);
  if (had_record) held.adopt_record();
  if (const auto unlocked = held.unlock(); !unlocked) return failure_from(unlocked.error(), held.tier());
  return print_result(stack, {}, options);
}

}  // namespace

Outcome fd(const CommandLine& line, Events& events) {
  FdOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  if (options.print_export && options.global.json) {
    return usage_failure("--export and --json exclude each other", "see 'grex-lock fd --help'");
  }
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied.error();
  events.open(options.lock.status_fd);
  auto open = find_file(*options.number, options.lock.tier);
  if (!open) return open.error();
  return options.unlock ? unlock(std::move(*open), options, events) : lock(std::move(*open), options, events);
}

}  // namespace grex::cli
