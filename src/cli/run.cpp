#include <fmt/format.h>
#include <stdlib.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "cli/commands.hpp"
#include "cli/locking.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/printable.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"
#include "sys/proc.hpp"

namespace grex::cli {
namespace {

enum class Inherit { lock, nothing };
enum class AtEnd { unlock, leave_to_inheritors };

struct RunOptions {
  GlobalOptions global;
  LockOptions lock;
  std::optional<std::string> shell_command;
  Inherit inherit = Inherit::lock;
  AtEnd at_end = AtEnd::unlock;
  bool in_place = false;
  bool new_scope = false;
};

void define(CLI::App& app, RunOptions& options) {
  add_global_options(app, options.global);
  add_lock_options(app, options.lock);
  app.add_option("-c,--command", options.shell_command, "run STRING by $SHELL instead of CMD")
      ->type_name("STRING")
      ->group("Command");
  auto* const close = app.add_flag_callback(
      "-o,--close", [&options] { options.inherit = Inherit::nothing; }, "CMD does not inherit the lock");
  auto* const no_fork = app.add_flag("-F,--no-fork", options.in_place, "become CMD instead of waiting for it");
  auto* const linger = app.add_flag_callback(
      "--linger", [&options] { options.at_end = AtEnd::leave_to_inheritors; },
      "stay locked until all that CMD left behind is gone");
  close->group("Command")->excludes(no_fork)->excludes(linger);
  no_fork->group("Command");
  linger->group("Command");
  app.add_flag("--new-scope", options.new_scope, "CMD starts with an empty tier stack")->group("Command");
  set_help(app, "grex-lock run [OPTIONS] [PATH] -- CMD [ARG...]\n       grex-lock run [OPTIONS] [PATH] -c STRING",
           "Examples:\n"
           "  grex-lock run ~/ws/app -- git pull\n"
           "  grex-lock run -w 2m -t workspace-sync ~/ws -c 'make && make install'");
}

// The line as it should have been: what is at `first`, and all behind it, is the
// command.
std::string corrected_line(const Invocation& invocation, std::size_t first) {
  std::vector<std::string> words = {"grex-lock", "run"};
  words.insert(words.end(), invocation.arguments.begin(), invocation.arguments.end());
  words.insert(words.end() - static_cast<std::ptrdiff_t>(invocation.arguments.size() - first), "--");
  return shell_line(words);
}

// Where the command begins in a line without `--`: behind PATH, or at the word
// that was taken for PATH where no such directory is.
std::size_t command_start(const Invocation& invocation, const LockOptions& lock, const std::vector<std::string>& rest) {
  const auto& words = invocation.arguments;
  const bool may_be_missing = lock.create == core::CreateTarget::yes || lock.tier == core::Tier::backend;
  if (lock.path.empty() || may_be_missing || sys::open_directory(lock.path)) return words.size() - rest.size();
  const auto last =
      words.rend() - std::find(words.rbegin() + static_cast<std::ptrdiff_t>(rest.size()), words.rend(), lock.path);
  return static_cast<std::size_t>(last) - 1;
}

std::optional<Outcome> parse_run(const Invocation& invocation, RunOptions& options) {
  CLI::App app("Take the lock, run CMD, release the lock, and exit as CMD did.", "grex-lock run");
  define(app, options);
  // What could be a command is left over rather than refused, to be pointed at.
  if (invocation.wrapped == nullptr) app.prefix_command();
  if (auto outcome = parse(app, invocation)) return outcome;

  const std::vector<std::string> rest = app.remaining();
  const std::size_t start = rest.empty() ? invocation.arguments.size() : command_start(invocation, options.lock, rest);
  const bool starts_with_rest = start == invocation.arguments.size() - rest.size();
  if (!rest.empty() && rest.front().starts_with('-') && (options.shell_command || starts_with_rest)) {
    return failed(usage_failure(fmt::format("unknown option {}", rest.front()), "see 'grex-lock run --help'"));
  }
  if (options.shell_command) {
    if (invocation.wrapped == nullptr && rest.empty()) return std::nullopt;
    return failed(usage_failure("-c already names the command", "give either -c STRING or -- CMD"));
  }
  if (!rest.empty()) {
    return failed(usage_failure("the command has to follow '--'", "try: " + corrected_line(invocation, start)));
  }
  if (invocation.wrapped != nullptr && *invocation.wrapped != nullptr) return std::nullopt;
  return failed(
      usage_failure("no command to run", "try: " + corrected_line(invocation, invocation.arguments.size()) + " CMD"));
}

class Program {
 public:
  Program(const Invocation& invocation, const RunOptions& options, const core::TierStack& stack) {
    if (options.shell_command) {
      const char* const shell = ::getenv("SHELL");
      words_ = {shell != nullptr && *shell != '\0' ? shell : "/bin/sh", "-c", *options.shell_command};
      for (std::string& word : words_) argv_.push_back(word.data());
    } else {
      for (char* const* word = invocation.wrapped; *word != nullptr; ++word) argv_.push_back(*word);
    }
    argv_.push_back(nullptr);

    const std::string prefix = std::string(stack_variable) + "=";
    for (char** variable = sys::environment(); *variable != nullptr; ++variable) {
      if (!std::string_view(*variable).starts_with(prefix)) envp_.push_back(*variable);
    }
    if (!options.new_scope && !stack.empty()) {
      stack_setting_ = prefix + core::to_text(stack);
      envp_.push_back(stack_setting_.data());
    }
    envp_.push_back(nullptr);
  }

  [[nodiscard]] sys::Command command(std::span<const int> inherit) const {
    return {argv_.data(), envp_.data(), inherit};
  }
  [[nodiscard]] std::vector<std::string> words() const { return {argv_.begin(), argv_.end() - 1}; }

 private:
  std::vector<std::string> words_;
  std::string stack_setting_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
};

core::Record record_of(const RunOptions& options, std::vector<std::string> command) {
  core::Record record;
  record.writer = core::own_identity();
  record.uid = sys::own_uid();
  record.command = std::move(command);
  record.cwd = sys::working_directory();
  record.tier = options.lock.tier;
  record.since = core::utc_now();
  record.note = options.lock.note;
  record.verb = "run";
  return record;
}

Outcome outcome_of(const sys::ChildEnd& end) {
  Outcome outcome;
  outcome.exit_code = end.killed ? exit_code::signal_base + end.status : end.status;
  outcome.interrupted_by_user = end.from_terminal;
  return outcome;
}

Outcome run_under(Taken& taken, const Program& program, const RunOptions& options) {
  const std::array<int, 1> lock_fd = {taken.lock ? taken.lock->fd() : -1};
  const bool inherits = taken.lock && options.inherit == Inherit::lock;
  const sys::Command command = program.command(inherits ? std::span<const int>(lock_fd) : std::span<const int>());
  if (options.in_place) return failed(failure_from(sys::exec_in_place(command)));

  auto child = sys::Child::start(command);
  if (!child) return failed(failure_from(child.error()));
  const auto end = child->wait();
  if (taken.lock) {
    const std::string path = taken.lock->path();
    const bool unlock = options.at_end == AtEnd::unlock;
    unlock ? taken.lock->release() : taken.lock->abandon();
    if (options.lock.verbosity == Verbosity::verbose) note((unlock ? "unlocked " : "left to its inheritors: ") + path);
  }
  if (!end) return failed(failure_from(end.error()));
  return outcome_of(*end);
}

}  // namespace

Outcome run(const Invocation& invocation) {
  RunOptions options;
  if (auto outcome = parse_run(invocation, options)) return *outcome;
  if (auto failure = apply_environment(options.global)) return failed(*failure);
  if (auto failure = apply_environment(options.lock)) return failed(*failure);
  const bool verbose = options.lock.verbosity == Verbosity::verbose;

  auto prepared = prepare(options.lock);
  if (auto* failure = std::get_if<Failure>(&prepared)) {
    if (failure->kind == ErrorKind::not_found && failure->err == ENOENT)
      failure->hint = "--create makes missing directories";
    return failed(*failure);
  }
  const bool already_ours = std::get<Prepared>(prepared).already_ours;
  Taken taken = take(std::move(std::get<Prepared>(prepared)), options.lock, options.global);
  if (taken.failure) {
    Outcome outcome = failed(*taken.failure);
    outcome.interrupted_by_user = taken.interrupted_by_user;
    return outcome;
  }
  const Program program(invocation, options, taken.stack);
  if (taken.lock) {
    if (verbose) note(fmt::format("locked {} after {}", taken.lock->path(), core::to_text(taken.waited)));
    if (options.lock.record) {
      const auto written = taken.lock->write_record(record_of(options, program.words()));
      if (!written && verbose) note("no record written: " + failure_from(written.error()).why);
    }
  } else if (verbose) {
    note("nothing to lock: " + std::string(already_ours ? "an ancestor holds it" : "permits are unbounded"));
  }
  return run_under(taken, program, options);
}

}  // namespace grex::cli
