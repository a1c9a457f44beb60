#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {
namespace {

struct ProbeOptions {
  GlobalOptions global;
  LockOptions lock;
  std::string path;
};

void define(Parser& parser, ProbeOptions& options) {
  add_path(parser, options.path);
  add_global_options(parser, options.global);
  add_choice_options(parser, options.lock);
  add_slots_option(parser, options.lock);
  parser.set_help("Tell whether the lock could be taken now: 0 free, 75 busy. Makes nothing.",
                  "grex-lock probe [OPTIONS] [PATH]",
                  "Examples:\n"
                  "  grex-lock probe -q ~/ws/app && echo free\n"
                  "  grex-lock probe --json -t backend ~/ws/app");
}

std::optional<Outcome> parse_probe(const Invocation& invocation, ProbeOptions& options) {
  if (!invocation.has_only_paths() || invocation.arguments.size() > 1) return parse(invocation, options, define);
  if (!invocation.arguments.empty()) options.path = invocation.arguments.front();
  return std::nullopt;
}

enum class Answer { free, ours };

Outcome answer(const LockName& name, const std::string& path, Answer answer, const LockOptions& lock,
               const GlobalOptions& global) {
  const bool ours = answer == Answer::ours;
  if (global.json)
    return print(probe_document(name, path, ours ? core::LockState::held : core::LockState::free, lock.mode));
  if (lock.verbosity == Verbosity::verbose) note((ours ? "held by an ancestor: " : "free: ") + path);
  return {};
}

}  // namespace

Outcome probe(const Invocation& invocation) {
  ProbeOptions options;
  if (auto outcome = parse_probe(invocation, options)) return *outcome;
  auto& [global, lock, path] = options;
  lock.nonblock = true;
  if (!path.empty()) lock.paths = {path};
  if (auto failure = complete(global, lock)) return failed(*failure);

  const auto prepared = prepare(lock, global);
  if (const auto* failure = std::get_if<Failure>(&prepared)) return failed(*failure);
  const auto& [targets, stack, already_ours] = std::get<Prepared>(prepared);
  // In both layouts it is free where both files are; the first one is told of.
  std::optional<std::string> free_path;
  for (const core::Target& target : targets) {
    const auto result = core::probe(target, lock.mode);
    if (!result) return failed(failure_from(result.error(), target.tier()));
    if (result->outcome == sys::Acquire::busy) {
      const HoldersFor readers = global.json ? HoldersFor::programs : HoldersFor::people;
      return failed(busy_failure(name_of(target), target.lock_paths(), lock, readers));
    }
    if (!free_path) free_path = result->path;
  }
  if (!free_path) return answer(already_ours.front(), already_ours.front().path, Answer::ours, lock, global);
  return answer(name_of(targets.front()), *free_path, Answer::free, lock, global);
}

}  // namespace grex::cli
