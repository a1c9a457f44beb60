#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/exit_code.hpp"
#include "base/text.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/args/unknown_word.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/fd_file.hpp"
#include "cli/commands/fd_lock.hpp"
#include "cli/locking/announce.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
#include "cli/report/held_text.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"
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
  std::string export_value = {};  // as it was given
  std::optional<ExportForm> exports = {};
};

void define(Parser& parser, FdOptions& options) {
  parser.add_words("N", options.numbers);
  parser.begin_group("What to lock");
  auto* const unlock = parser.add_flag("-u,--unlock", options.unlock, "unlock the files instead");
  add_tier_option(parser, options.lock.tier, "tier of files not used by grex (default: per-pack)");
  add_mode_options(parser, options.lock);
  add_layout_option(parser, options.global);
  add_cluster_option(parser, options.lock.cluster);
  parser.begin_group(group::if_busy);
  add_waiting_options(parser, options.lock);
  add_busy_options(parser, options.lock);
  parser.begin_group(group::records_and_reports);
  auto* const exporting = add_export_option(parser, options.export_value);
  add_report_options(parser, options.lock, options.global);
  parser.exclude(exporting, "--json");
  for (const char* const other :
       {"--shared", "--exclusive", "--nonblock", "--timeout", "--reentrant", "--conflict-exit-code", "--tier-check",
        "--tier", "--note", "--no-record", "--git-exclude", "--log", "--json-status-fd"}) {
    parser.exclude(unlock, other);
  }
  parser.set_help("Lock the files that the calling shell has open as descriptors N.", "grex-lock fd [OPTIONS] N...",
                  "Example: cd ~/ws/app; exec 8>>.grex-lock 9>>.grex/.grex-lock; grex-lock fd 8 9");
}

// How to open the lock files of the pack that a word names in the place of a descriptor.
std::string opening_hint(const std::string& word) {
  const std::string pack = sys::open_directory(word) ? word : "PATH";
  const auto quoted = [&pack](const char* name) { return shell_line({path_in(pack, name)}); };
  return fmt::format("try: mkdir -p {}; exec 8>>{} 9>>{}; grex-lock fd 8 9", quoted(".grex"), quoted(".grex-lock"),
                     quoted(".grex/.grex-lock"));
}

// N... must be numbers.
Result<void, Failure> check_numbers(const FdOptions& options) {
  const std::string first = options.numbers.empty() ? std::string() : options.numbers.front();
  const std::string hint = options.unlock ? "for example: grex-lock fd -u 9" : opening_hint(first);
  if (options.numbers.empty()) return usage_failure("no descriptor given", hint);
  for (const std::string& text : options.numbers) {
    if (descriptor_syntax.parse(text)) continue;
    const std::string_view typographic = text.empty() ? unset_hint : typographic_hint(text);
    return usage_failure(fmt::format("'{}' is not a descriptor", text),
                         typographic.empty() ? hint : std::string(typographic));
  }
  return {};
}

Outcome print_result(const core::TierStack& stack, const core::TierStack& locked, const FdOptions& options) {
  if (options.exports) return print(export_line(stack, *options.exports));
  return options.global.json ? print(held_document("fd", locked)) : ExitStatus{};
}

std::string entry_paths(const core::TierStack& entries) {
  std::string paths;
  for (const core::StackEntry& entry : entries) paths += (paths.empty() ? "" : ", ") + entry.path;
  return paths;
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
    if (is_new) note_locked(entry_paths(locks.entries), locks.acquired.waited);
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
  std::string paths;
  std::reverse(files.begin(), files.end());
  for (FdFile& open : files) {
    paths.insert(0, open.name.path + (paths.empty() ? "" : ", "));
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
  if (options.lock.verbosity == Verbosity::verbose) note("unlocked " + paths);
  return print_result(stack, {}, options);
}

// ksh and mksh open descriptors above 2 so that their commands don't get them.
Failure closed_failure(int number, const FdOptions& options) {
  std::string hint = fmt::format("open it in the shell first, for example: exec {}>>FILE", number);
  if (sys::is_open_in_parent(number)) {
    hint = "the shell has it open, but does not pass it on: grex-lock fd";
    if (options.unlock) hint += " -u";
    for (const std::string& text : options.numbers) hint += " " + text;
    for (const std::string& text : options.numbers) hint += fmt::format(" {0}>&{0}", text);
  }
  return usage_failure(fmt::format("descriptor {} is not open", number), std::move(hint));
}

Result<void, Failure> apply_all_env_defaults(FdOptions& options) {
  if (auto applied = apply_env_defaults(options.global, options.lock); !applied) return applied;
  return apply_env_default(options.lock.git_exclude);
}

Result<std::vector<FdFile>, Failure> find_files(const FdOptions& options) {
  std::vector<FdFile> files;
  for (const std::string& text : options.numbers) {
    const int number = *descriptor_syntax.parse(text);
    if (sys::access_of(number) == sys::Access::closed) return closed_failure(number, options);
    auto file = find_fd_file(number, options.lock.tier_of_paths(), *options.global.layouts);
    if (!file) return file.error();
    const auto is_it = [&file](const FdFile& other) { return other.file.id == file->file.id; };
    const auto same = std::find_if(files.begin(), files.end(), is_it);
    if (same == files.end()) {
      files.push_back(std::move(*file));
    } else if (same->number != file->number) {
      return usage_failure(fmt::format("descriptors {} and {} have the same file open", same->number, file->number),
                           "name only one of them");
    }
  }
  sort_fd_files(files);
  return files;
}

}  // namespace

Outcome fd(const CommandLine& line, Events& events) {
  FdOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  const auto exports = export_form(options.export_value);
  if (!exports) return exports.error();
  options.exports = *exports;
  if (auto checked = check_numbers(options); !checked) return checked.error();
  if (options.unlock) {
    apply_valid_env_defaults(options.global);
    auto files = find_files(options);
    return files ? unlock(std::move(*files), options) : files.error();
  }
  if (auto applied = apply_all_env_defaults(options); !applied) return applied.error();
  if (auto refused = refuse_cluster(options.lock.cluster, "fd"); !refused) return refused.error();
  if (auto opened = open_events(events, options.lock); !opened) return opened.error();
  auto files = find_files(options);
  if (!files) return files.error();
  std::vector<EventLock> names;
  std::vector<WantedFd> wanted;
  for (FdFile& file : *files) {
    const sys::Mode mode = core::mode_at(file.name.tier, options.lock.mode);
    names.push_back({file.name.tier, file.name.path, mode});
    wanted.push_back({std::move(file), mode, {}});
  }
  events.set_locks(std::move(names));
  return lock(std::move(wanted), options, events);
}

}  // namespace grex::cli
