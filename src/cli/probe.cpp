#include <CLI/App.hpp>

#include "cli/commands.hpp"
#include "cli/locking.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/report_json.hpp"

namespace grex::cli {
namespace {

enum class Answer { free, ours };

Outcome answer(const core::Target& target, const std::string& path, Answer answer, const LockOptions& lock,
               const GlobalOptions& global) {
  const bool ours = answer == Answer::ours;
  if (global.json)
    return print(probe_document(target, path, ours ? core::LockState::held : core::LockState::free, lock.mode));
  if (lock.verbosity == Verbosity::verbose) note((ours ? "held by an ancestor: " : "free: ") + path);
  return {};
}

}  // namespace

Outcome probe(const Invocation& invocation) {
  GlobalOptions global;
  LockOptions lock;
  CLI::App app("Tell whether the lock could be taken now: 0 free, 75 busy. Makes nothing.", "grex-lock probe");
  add_global_options(app, global);
  add_probe_options(app, lock);
  set_help(app, "grex-lock probe [OPTIONS] [PATH]",
           "Examples:\n"
           "  grex-lock probe -q ~/ws/app && echo free\n"
           "  grex-lock probe --json -t backend ~/ws/app");
  if (auto outcome = parse(app, invocation)) return *outcome;
  lock.nonblock = true;
  if (auto failure = apply_environment(global)) return failed(*failure);
  if (auto failure = apply_environment(lock)) return failed(*failure);

  const auto prepared = prepare(lock);
  if (const auto* failure = std::get_if<Failure>(&prepared)) return failed(*failure);
  const auto& [request, target, stack, already_ours] = std::get<Prepared>(prepared);
  if (already_ours) return answer(target, target.shown_path(), Answer::ours, lock, global);
  const auto result = core::probe(target, lock.mode);
  if (!result) return failed(failure_from(result.error(), target.tier));
  if (result->outcome == sys::Acquire::busy) return failed(busy_failure(target, lock, global));
  return answer(target, result->path, Answer::free, lock, global);
}

}  // namespace grex::cli
