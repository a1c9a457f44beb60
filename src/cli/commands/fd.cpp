#include <fmt/format.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/caveats.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/proc_locks.hpp"
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
    if (CLI::Option* const made = parser.get_option_no_throw(other)) Parser::exclude(unlock, made);
  }
  parser.set_help("Lock the file that descriptor N of the calling shell has open.", "grex-lock fd [OPTIONS] N",
                  "Examples:\n"
                  "  exec 9>>~/ws/app/.grex-lock && grex-lock fd -w 2m 9   # till the script ends\n"
                  "  grex-lock fd -u 9");
}

// The file behind a descriptor that the caller has open, with a descriptor of
// our own for the same open file: so its lock is the caller's.
struct OpenFile {
  sys::LockFile file;
  LockName name;
  std::string path;           // empty where it can't be known
  bool is_grex_lock = false;  // else its content is none of our business
};

bool is_there(const std::string& path) {
  const auto status = sys::status_of(path);
  return status && status->type != sys::FileType::absent;
}

std::variant<OpenFile, Failure> find_file(int number, core::Tier tier) {
  const sys::Access access = sys::access_of(number);
  if (access == sys::Access::closed) {
    return usage_failure(fmt::format("descriptor {} is not open", number),
                         fmt::format("open it in the shell first, as by 'exec {}>>FILE'", number));
  }
  const auto status = sys::status_of(number);
  if (!status) return failure_from(status.error());
  std::string path = sys::path_of(number);
  constexpr std::string_view no_name = " (deleted)";  // proc(5), /proc/PID/fd
  if (path.ends_with(no_name) && !is_there(path)) path.resize(path.size() - no_name.size());
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
  return OpenFile{{std::move(*copy), status->id, access == sys::Access::reading || status->names > 1},
                  {named_tier.value_or(tier), shown},
                  path,
                  named_tier.has_value()};
}

// The lock that the caller's descriptor has already: then it may be taken again,
// in the other mode too, whatever the stack says of it.
std::optional<core::KernelLock> lock_of(int number) {
  const auto info = sys::descriptor_info({sys::own_process, number, {}});
  const auto locks = core::parse_lock_table(info.value_or(""));
  return locks.empty() ? std::nullopt : std::optional(locks.front());
}

// Whether the file has a record that `fd` wrote, which nobody but `fd` will empty.
bool has_record(const OpenFile& open) {
  if (!open.is_grex_lock || open.file.is_left_alone) return false;
  const auto record = core::record_in(open.file, open.path);
  return record && record->verb == "fd";
}

// A lock on a file that nobody finds by its name any more keeps nobody out.
std::optional<Failure> refuse_replaced(const OpenFile& open, int number) {
  if (open.path.empty()) return std::nullopt;
  const auto named = sys::status_of(open.path);
  if (!named || named->id == open.file.id) return std::nullopt;
  Failure failure = failure_from({ErrorKind::unsafe_file, "stat", open.name.path, 0}, open.name.tier);
  failure.why = "the file was removed or replaced since it was opened";
  failure.hint = fmt::format("open it again, as by 'exec {}>>FILE'", number);
  return failure;
}

// Takes the lock, waiting as long as the options allow. nullopt: it is held.
std::optional<Outcome> wait_for_lock(const OpenFile& open, const FdOptions& options, const Events& events) {
  const auto start = std::chrono::steady_clock::now();
  const LockOptions& lock = options.lock;
  const int fd = open.file.fd.get();
  const auto busy = [&](const core::GivesUp& gives_up) {
    return busy_failure(open.name, {open.name.path}, lock, readers_of(options.global, events), gives_up);
  };
  const auto tried = sys::try_lock(fd, lock.mode);
  if (!tried) return failed(failure_from(at_path(tried.error(), open.name.path), open.name.tier));
  if (*tried == sys::Acquire::held) return std::nullopt;
  if (lock.nonblock) return failed(busy(core::never));

  const auto told = tell_waiting(lock, options.global, events, {{open.name.path}, {}}, busy);
  std::optional<sys::Deadline> deadline;
  if (lock.timeout) deadline = start + *lock.timeout;
  const auto end = sys::wait_lock(fd, lock.mode, deadline);
  if (!end) return failed(failure_from(at_path(end.error(), open.name.path), open.name.tier));
  if (end->outcome == sys::Acquire::cancelled) return cancelled(open.name, *end, lock);
  if (end->outcome == sys::Acquire::timed_out) return failed(timeout_failure(busy(core::never), since(start)));
  return std::nullopt;
}

Outcome answer(const core::TierStack& stack, const std::vector<core::HeldLock>& held, const FdOptions& options) {
  if (options.print_export) return print(export_line(stack));
  return options.global.json ? print(held_document("fd", held)) : Outcome{};
}

void drop_from(core::TierStack& stack, sys::FileId file) {
  std::erase_if(stack, [file](const core::StackEntry& entry) { return entry.file == file; });
}

// A lock that is taken again in its own mode stays that of whoever took it first.
Outcome keep_lock(OpenFile open, const core::KernelLock& kept, core::TierStack stack, const FdOptions& options) {
  std::vector<core::HeldLock> locks;
  locks.emplace_back(std::move(open.file), open.name.tier, open.name.path, kept.mode);
  core::StackEntry entry = locks.front().stack_entry();
  if (kept.pid > 0) entry.pid = kept.pid;
  stack.push_back(std::move(entry));
  Outcome outcome = answer(stack, locks, options);
  locks.front().abandon();
  return outcome;
}

Outcome take_lock(OpenFile open, core::TierStack stack, const FdOptions& options, Events& events) {
  const auto start = std::chrono::steady_clock::now();
  // A signal that ended us with the lock in the shell's hands would look like a wait that it ended.
  const auto signals = sys::HeldBackSignals::begin();
  if (!signals) return failed(failure_from(signals.error()));
  give_up_writing_at(signals->fd());
  events.about({{open.name.tier, open.name.path, options.lock.mode}});
  if (auto outcome = wait_for_lock(open, options, events)) return *outcome;
  auto replaced = refuse_replaced(open, *options.number);
  const bool is_grex_lock = open.is_grex_lock;
  Taken taken;
  taken.stack = std::move(stack);
  taken.locks.emplace_back(std::move(open.file), open.name.tier, open.name.path, options.lock.mode);
  if (replaced) return failed(std::move(*replaced));

  if (options.lock.verbosity == Verbosity::verbose) note_weaknesses(taken.locks);
  taken.stack.push_back(taken.locks.front().stack_entry());
  // What runs under the lock is the shell that has the descriptor.
  if (is_grex_lock) {
    const auto shell = sys::process_file(sys::parent_pid(), "cmdline");
    write_records(taken, options.lock, "fd", core::parse_command_line(shell.value_or("")));
  }
  Outcome outcome = answer(taken.stack, taken.locks, options);
  if (const auto told = signals->next()) return cancelled(name_of(taken.locks.front()), *told, options.lock);
  if (outcome.failure) return outcome;
  events.acquired(since(start));
  for (core::HeldLock& held : taken.locks) held.abandon();
  return outcome;
}

Outcome lock(OpenFile open, const FdOptions& options, Events& events) {
  auto live = live_stack(options.lock);
  if (const auto* failure = std::get_if<Failure>(&live)) return failed(*failure);
  auto& stack = std::get<core::TierStack>(live);
  const auto kept = lock_of(*options.number);
  if (!kept) {
    const auto ours = is_already_ours(open.name, {open.file.id}, stack, options.lock);
    if (const auto* failure = std::get_if<Failure>(&ours)) return failed(*failure);
    if (std::get<bool>(ours)) return answer(stack, {}, options);
    return take_lock(std::move(open), std::move(stack), options, events);
  }
  if (auto replaced = refuse_replaced(open, *options.number)) return failed(std::move(*replaced));
  drop_from(stack, open.file.id);
  if (kept->mode == options.lock.mode) return keep_lock(std::move(open), *kept, std::move(stack), options);
  if (options.lock.mode == sys::Mode::shared && has_record(open)) {
    (void)sys::replace_content(open.file.fd.get(), {});  // a sharer has none
  }
  Outcome outcome = take_lock(std::move(open), std::move(stack), options, events);
  if (outcome.failure && outcome.failure->hint.empty()) {
    outcome.failure->hint =
        fmt::format("the {} lock that the descriptor had is gone: flock(2) gives it up to change the mode",
                    sys::name_of(kept->mode));
  }
  return outcome;
}

Outcome unlock(OpenFile open, const FdOptions& options) {
  auto live = live_stack(options.lock);
  if (const auto* failure = std::get_if<Failure>(&live)) return failed(*failure);
  core::TierStack stack = std::get<core::TierStack>(std::move(live));
  drop_from(stack, open.file.id);
  const bool had_record = has_record(open);
  core::HeldLock held(std::move(open.file), open.name.tier, open.name.path, sys::Mode::exclusive);
  if (had_record) held.adopt_record();
  if (const auto unlocked = held.unlock(); !unlocked) return failed(failure_from(unlocked.error(), held.tier()));
  return answer(stack, {}, options);
}

}  // namespace

Outcome fd(const Invocation& invocation) {
  FdOptions options;
  if (auto outcome = parse(invocation, options, define)) return *outcome;
  if (options.print_export && options.global.json) {
    return failed(usage_failure("--export and --json exclude each other", "see 'grex-lock fd --help'"));
  }
  if (auto failure = complete(options.global, options.lock)) return failed(*failure);
  Events events(options.lock.status_fd);
  auto found = find_file(*options.number, options.lock.tier);
  if (const auto* failure = std::get_if<Failure>(&found)) return events.ended(failed(*failure));
  auto& open = std::get<OpenFile>(found);
  return options.unlock ? unlock(std::move(open), options) : events.ended(lock(std::move(open), options, events));
}

}  // namespace grex::cli
