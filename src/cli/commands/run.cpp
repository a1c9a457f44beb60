#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/file.hpp"
#include "sys/process/child.hpp"
#include "sys/process/proc.hpp"

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

void define(Parser& parser, RunOptions& options) {
  add_global_options(parser, options.global);
  add_lock_options(parser, options.lock);
  parser.add_option("-c,--command", options.shell_command, "run STRING by $SHELL instead of CMD")
      ->type_name("STRING")
      ->group("Command");
  auto* const close = parser.add_flag_callback(
      "-o,--close", [&options] { options.inherit = Inherit::nothing; }, "CMD does not inherit the lock");
  auto* const no_fork = parser.add_flag("-F,--no-fork", options.in_place, "become CMD instead of waiting for it");
  auto* const linger = parser.add_flag_callback(
      "--linger", [&options] { options.at_end = AtEnd::leave_to_inheritors; },
      "stay locked until all that CMD left behind is gone");
  for (CLI::Option* const option : {close, no_fork, linger}) option->group("Command");
  Parser::exclude(close, no_fork);
  Parser::exclude(close, linger);
  parser.add_flag("--new-scope", options.new_scope, "CMD starts with an empty tier stack")->group("Command");
  parser.set_help(
      "Take the locks, run CMD, release the locks, and exit as CMD did.",
      "grex-lock run [OPTIONS] [PATH...] -- CMD [ARG...]\n       grex-lock run [OPTIONS] [PATH...] -c STRING",
      "Examples:\n"
      "  grex-lock run ~/ws/app -- git pull\n"
      "  grex-lock run -w 2m ~/ws/app ~/ws/lib -c 'make && make install'");
}

// The line as it should have been: what is at `first`, and all behind it, is the
// command.
std::string corrected_line(const Invocation& invocation, std::size_t first) {
  std::vector<std::string> words = {"grex-lock", "run"};
  words.insert(words.end(), invocation.arguments.begin(), invocation.arguments.end());
  words.insert(words.end() - static_cast<std::ptrdiff_t>(invocation.arguments.size() - first), "--");
  return shell_line(words);
}

// Where the command begins in a line without `--`, or where an option that we
// don't have stands, whichever comes first: the command's own options look so.
struct Start {
  std::size_t at;
  bool is_option = false;
};

// `paths` and `extras` are what the parser took for PATHs and left over as
// options, in their order. A word where no directory is was not meant as a PATH.
Start find_command(const std::vector<std::string>& words, std::vector<std::string> paths,
                   std::vector<std::string> extras, bool paths_may_be_missing) {
  Start start{words.size()};
  // From the back: a word like a PATH before them all is an option's value.
  for (std::size_t i = words.size(); i-- > 0;) {
    if (!extras.empty() && words[i] == extras.back()) {
      extras.pop_back();
      start = {i, true};
    } else if (!paths.empty() && words[i] == paths.back()) {
      if (!paths_may_be_missing && !sys::open_directory(paths.back())) start = {i};
      paths.pop_back();
    }
  }
  return start;
}

std::optional<Outcome> parse_run(const Invocation& invocation, RunOptions& options) {
  const bool may_have_command = invocation.wrapped == nullptr;
  std::vector<std::string> extras;
  if (invocation.has_only_paths()) {
    options.lock.paths = invocation.arguments;
  } else {
    auto outcome = parse(invocation, [&](Parser& parser) {
      options = RunOptions{};
      define(parser, options);
      // What could be a command is left over rather than refused, to be pointed at.
      if (may_have_command) parser.allow_extras()->callback([&] { extras = parser.remaining(); });
    });
    if (outcome) return outcome;
  }

  const bool paths_may_be_missing = options.shell_command || options.lock.create == core::CreateTarget::yes ||
                                    options.lock.tier == core::Tier::backend;
  const auto& words = invocation.arguments;
  const Start start = may_have_command
                          ? find_command(words, options.lock.paths, std::move(extras), paths_may_be_missing)
                          : Start{words.size()};
  if (start.is_option) {
    return failed(usage_failure(fmt::format("unknown option {}", words[start.at]), "see 'grex-lock run --help'"));
  }
  if (options.shell_command) {
    if (may_have_command) return std::nullopt;
    return failed(usage_failure("-c already names the command", "give either -c STRING or -- CMD"));
  }
  if (start.at < words.size()) {
    return failed(usage_failure("the command has to follow '--'", "try: " + corrected_line(invocation, start.at)));
  }
  if (!may_have_command && *invocation.wrapped != nullptr) return std::nullopt;
  return failed(usage_failure("no command to run", "try: " + corrected_line(invocation, words.size()) + " CMD"));
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

    const std::string prefix = std::string(core::stack_variable) + "=";
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

// Ends the locks as the options say, and tells.
void give_back(Taken& taken, const RunOptions& options, const Events& events, int exit_code) {
  const bool unlock = options.at_end == AtEnd::unlock;
  const std::string paths = paths_of(taken.locks);
  if (!unlock) {
    for (core::HeldLock& lock : taken.locks) lock.abandon();
  }
  core::release_all(taken.locks);
  events.released(exit_code);
  if (options.lock.verbosity == Verbosity::verbose && !paths.empty()) {
    note((unlock ? "unlocked " : "left to its inheritors: ") + paths);
  }
}

Outcome run_under(Taken& taken, const Program& program, const RunOptions& options, const Events& events) {
  std::vector<int> fds;
  if (options.inherit == Inherit::lock) {
    for (const core::HeldLock& lock : taken.locks) fds.push_back(lock.fd());
  }
  const sys::Command command = program.command(fds);
  if (options.in_place) {
    events.started(sys::own_pid());
    return failed(failure_from(sys::exec_in_place(command)));
  }
  auto child = sys::Child::start(command);
  if (!child) {
    Outcome outcome = failed(failure_from(child.error()));
    give_back(taken, options, events, outcome.exit_code);
    return outcome;
  }
  events.started(child->pid());
  const auto end = child->wait();
  Outcome outcome = end ? outcome_of(*end) : failed(failure_from(end.error()));
  give_back(taken, options, events, outcome.exit_code);
  return outcome;
}

Outcome take_and_run(const Invocation& invocation, const RunOptions& options, Events& events) {
  auto prepared = prepare(options.lock, options.global);
  if (auto* failure = std::get_if<Failure>(&prepared)) return failed(with_create_hint(std::move(*failure)));
  if (!options.new_scope) {
    if (auto failure = refuse_long_stack(std::get<Prepared>(prepared))) return failed(std::move(*failure));
  }
  const bool already_ours = !std::get<Prepared>(prepared).already_ours.empty();
  Taken taken = take(std::get<Prepared>(std::move(prepared)), options.lock, options.global, events);
  if (taken.failed) return *taken.failed;
  const Program program(invocation, options, taken.stack);
  write_records(taken, options.lock, "run", program.words());
  if (options.lock.verbosity == Verbosity::verbose && taken.locks.empty()) {
    note("nothing to lock: " + std::string(already_ours ? "an ancestor holds it" : "permits are unbounded"));
  }
  return run_under(taken, program, options, events);
}

}  // namespace

Outcome run(const Invocation& invocation) {
  RunOptions options;
  if (auto outcome = parse_run(invocation, options)) return *outcome;
  if (auto failure = complete(options.global, options.lock)) return failed(*failure);
  Events events(options.lock.status_fd);
  return events.ended(take_and_run(invocation, options, events));
}

}  // namespace grex::cli
