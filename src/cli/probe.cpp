#include <CLI/App.hpp>

#include "cli/commands.hpp"
#include "cli/locking.hpp"
#include "cli/options.hpp"
#include "cli/output.hpp"
#include "cli/report_json.hpp"

namespace grex::cli {

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
  if (auto failure = apply_environment(global)) return failed(*failure);
  if (auto failure = apply_environment(lock)) return failed(*failure);

  const auto prepared = prepare(lock);
  if (const auto* failure = std::get_if<Failure>(&prepared)) return failed(*failure);
  const auto& [request, target, stack, already_ours] = std::get<Prepared>(prepared);
  const auto outcome = already_ours ? sys::Acquire::held : core::probe(target, lock.mode);
  if (!outcome) return failed(failure_from(outcome.error()));
  if (*outcome == sys::Acquire::busy) return failed(busy_failure(target, lock, global));
  if (global.json) return print(free_document(target.tier, target.path, target.lock_path(0), lock.mode));
  if (lock.verbosity == Verbosity::verbose) note("free: " + target.lock_path(0));
  return {};
}

}  // namespace grex::cli
