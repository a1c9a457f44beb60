#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/fd_file.hpp"
#include "cli/commands/fd_lock.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"
#include "sys/process/process_memory.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::cli {
namespace {

struct FdOptions {
  GlobalOptions global;
  LockOptions lock;
  std::vector<std::string> numbers;
  bool unlock = false;
  bool print_export = false;
};

std::string refuse_number(const std::string& text) {
  return natural_syntax.parse(text) ? "" : syntax_error(text, natural_syntax.description);
}

void define(Parser& parser, FdOptions& options) {
  add_global_options(parser, options.global);
  parser.add_words("N", options.numbers)->check(refuse_number)->required();
  auto* const unlock = parser.add_flag("-u,--unlock", options.unlock, "unlock it instead")->group("Lock");
  add_choice_options(parser, options.lock);
  add_waiting_options(parser, options.lock);
  add_record_options(parser, options.lock);
  parser.add_flag("--export", options.print_export, "print 'export GREX_LOCK_STACK=...' for eval")->group("General");
  for (const char* const other : {"--shared", "--exclusive", "--nonblock", "--timeout", "--reentrant"}) {
    if (CLI::Option* const conflicting = parser.get_option_no_throw(other)) Parser::exclude(unlock, conflicting);
  }
  parser.set_help("Lock the files that descriptors N of the calling shell have open.", "grex-lock fd [OPTIONS] N...",
                  "Examples:\n"
                  "  cd ~/ws/app && exec 8>>.grex-lock 9>>.grex/.grex-lock && grex-lock fd 8 9\n"
                  "  grex-lock fd -u 9");
}

Outcome print_result(const core::TierStack& stack, const core::TierStack& locked, const FdOptions& options) {
  if (options.print_export) return print(export_line(stack));
  return options.global.json ? print(held_document("fd", locked)) : ExitStatus{};
}

// The program that called this one; empty if unknown.
std::string program_of_caller() {
  const pid_t pid = sys::parent_pid();  // 0 in an outer PID namespace
  const auto command = pid > 0 ? sys::command_line_text(pid) : std::nullopt;
  const auto words = sys::parse_command_line(command.value_or(""));
  return words.empty() ? std::string() : words.front();
}

// Notes each lock that is not whole.
void note_half_locks(const std::vector<WantedFd>& files, const core::TierStack& stack, const FdOptions& options) {
  if (options.lock.verbosity == Verbosity::quiet) return;
  for (const WantedFd& wanted : files) {
    const std::string line = half_lock_line(wanted.open, stack);
    if (!line.empty()) note(line);
  }
}

Outcome lock(std::vector<WantedFd> files, const FdOptions& options, Events& events) {
  const auto start = std::chrono::steady_clock::now();
  FdLocks locks;
  if (auto judged = judge_all(files, locks.acquired.stack, options.lock); !judged) return judged.error();
  // A signal that killed us after the shell got the lock would look like a cancelled
  // wait.
  const auto signals = sys::BlockedSignals::begin();
  if (!signals) return failure_from(signals.error());
  auto locked = lock_all(files, options.lock, options.global, events, start, locks);
  if (!locked) return locked.error();
  const bool is_new = !locks.acquired.locks.empty() || !locks.without_record.empty();
  if (options.lock.verbosity == Verbosity::verbose) {
    note_caveats(locks.acquired.locks);
    note_caveats(locks.without_record);
  }
  // The record shows the shell that has the descriptor as the command.
  if (!locks.acquired.locks.empty()) {
    identify_writer(locks.acquired, options.lock);
    write_records(locks.acquired, options.lock, {"fd", program_of_caller()});
  }
  Outcome outcome = print_result(locks.acquired.stack, locks.entries, options);
  if (!is_new) return outcome;
  if (const auto signal = signals->next()) {
    return cancelled_failure(files.front().open.name, *signal, busy_report_of(options.lock));
  }
  if (!outcome) return outcome;
  note_half_locks(files, locks.acquired.stack, options);
  events.acquired(elapsed_since(start));
  for (core::HeldLock& held : locks.acquired.locks) held.abandon();
  for (core::HeldLock& held : locks.without_record) held.abandon();
  return outcome;
}

// Unlocks them, the last one first.
Outcome unlock(std::vector<FdFile> files, const FdOptions& options) {
  const auto live = live_stack(options.lock);
  if (!live) return live.error();
  core::TierStack stack = core::live_entries(*live);
  Result<void, Failure> result;
  std::reverse(files.begin(), files.end());
  for (FdFile& open : files) {
    remove_entries(stack, open.file.id);
    auto record = fd_record_in(open);
    std::vector<core::HeldFile> file;
    file.push_back({std::move(open.file), open.name.path, open.lookup_name});
    core::HeldLock held(open.name.tier, {}, sys::Mode::exclusive, std::move(file));
    if (record) held.adopt_record(std::move(*record));
    if (const auto unlocked = held.unlock(); !unlocked && result) {
      result = failure_from(unlocked.error(), held.tier());
    }
  }
  if (!result) return result.error();
  return print_result(stack, {}, options);
}

// ksh and mksh open descriptors above 2 so that their commands don't get them.
Failure closed_failure(int number, const FdOptions& options) {
  std::string hint = fmt::format("open it in the shell first, as by 'exec {}>>FILE'", number);
  if (sys::is_open_in_parent(number)) {
    hint = "the shell has it open, but does not pass it on: grex-lock fd";
    if (options.unlock) hint += " -u";
    for (const std::string& text : options.numbers) hint += " " + text;
    for (const std::string& text : options.numbers) hint += fmt::format(" {0}>&{0}", text);
  }
  return usage_failure(fmt::format("descriptor {} is not open", number), std::move(hint));
}

Result<void, Failure> apply_all_env_defaults(FdOptions& options) {
  if (options.unlock) {
    if (auto applied = apply_env_defaults(options.global); !applied) return applied;
    return check_status_fd(options.lock.status_fd);
  }
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied;
  return apply_env_default(options.lock.git_exclude);
}

Result<std::vector<FdFile>, Failure> find_files(const FdOptions& options) {
  std::vector<FdFile> files;
  for (const std::string& text : options.numbers) {
    const int number = *natural_syntax.parse(text);
    if (sys::access_of(number) == sys::Access::closed) return closed_failure(number, options);
    auto file = find_fd_file(number, options.lock.tier, *options.global.layouts);
    if (!file) return file.error();
    const auto is_it = [&file](const FdFile& other) { return other.file.id == file->file.id; };
    const auto same = std::find_if(files.begin(), files.end(), is_it);
    if (same == files.end()) {
      files.push_back(std::move(*file));
    } else if (same->number != file->number) {
      return usage_failure(fmt::format("descriptors {} and {} have the same file open", same->number, file->number),
                           "name one of them");
    }
  }
  sort_fd_files(files);
  return files;
}

}  // namespace

Outcome fd(const CommandLine& line, Events& events) {
  FdOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  if (options.print_export && options.global.json) {
    return usage_failure("--export and --json exclude each other", "see 'grex-lock fd --help'");
  }
  if (auto applied = apply_all_env_defaults(options); !applied) return applied.error();
  events.open(options.lock.status_fd);
  auto files = find_files(options);
  if (!files) return files.error();
  std::vector<EventLock> names;
  const sys::Mode mode = options.unlock ? sys::Mode::exclusive : options.lock.mode;
  for (const FdFile& file : *files) names.push_back({file.name.tier, file.name.path, mode});
  events.set_locks(std::move(names));
  if (options.unlock) return unlock(std::move(*files), options);
  std::vector<WantedFd> wanted;
  for (FdFile& file : *files) wanted.push_back({std::move(file), {}});
  return lock(std::move(wanted), options, events);
}

}  // namespace grex::cli
