#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/plan.hpp"
#include "cli/report/holder_text.hpp"
#include "cli/report/json.hpp"
#include "cli/report/lock_failure.hpp"
#include "cli/report/output.hpp"
#include "core/inspect/find_holds.hpp"
#include "core/inspect/inspect.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

// The processes that hold a lock.
struct Inspection {
  std::vector<core::Hold> holds;           // one for each process
  std::vector<core::LockProcess> holders;  // all of them
  bool is_held = false;                    // or it may be, because it can't be inspected
};

Inspection inspect_holders(const std::vector<core::Target>& targets) {
  std::vector<std::string> files;
  for (const core::Target& target : targets) {
    for (std::string& file : core::files_to_inspect(target)) files.push_back(std::move(file));
  }
  Inspection found;
  for (core::FileReport& report : core::inspect(files, core::visible_mounts())) {
    found.is_held = found.is_held || report.state == core::LockState::held || report.state == core::LockState::unknown;
    for (core::Hold& hold : core::find_holds(report)) {
      const auto is_it = [&hold](const core::Hold& other) { return other.pid == hold.pid; };
      if (std::none_of(found.holds.begin(), found.holds.end(), is_it)) found.holds.push_back(std::move(hold));
    }
    for (core::LockProcess& holder : report.holders) found.holders.push_back(std::move(holder));
  }
  return found;
}

Failure refusal(const LockName& lock, Inspection& found, std::string why, ErrorKind kind) {
  Failure failure;
  failure.kind = kind;
  failure.what = "not released";
  failure.path = lock.path;
  failure.why = std::move(why);
  failure.exit_code = exit_code::no_hold;
  failure.tier = lock.tier;
  failure.holders = std::move(found.holders);
  return failure;
}

// Why no hold was found, from the record of the lock.
std::string why_not_a_hold(const std::vector<core::LockProcess>& holders) {
  const auto named = std::find_if(holders.begin(), holders.end(), [](const core::LockProcess& process) {
    return process.verb && !process.verb->empty();
  });
  if (named == holders.end()) return "and no record says that it is a 'grex-lock hold'";
  if (*named->verb == "hold") return "whose process could not be made sure of";
  return fmt::format("by 'grex-lock {}', not by 'grex-lock hold'", *named->verb);
}

// The only hold, if it may be ended.
Result<core::Hold*, Failure> find_hold(const LockName& lock, Inspection& found) {
  if (found.holds.size() == 1) {
    core::Hold& hold = found.holds.front();
    const auto owner = sys::owner_of(hold.pid);
    const uid_t user = sys::effective_uid();
    if (user == 0 || owner == user) return &hold;
    return refusal(lock, found, fmt::format("the hold of pid {} is another user's", hold.pid), ErrorKind::permission);
  }
  if (!found.is_held) return refusal(lock, found, "nobody holds it", ErrorKind::not_found);
  if (found.holds.size() > 1) {
    std::string pids;
    for (const core::Hold& hold : found.holds) pids += fmt::format("{}{}", pids.empty() ? "" : ", ", hold.pid);
    Failure failure =
        refusal(lock, found, fmt::format("it is held by several holds, the pids {}", pids), ErrorKind::not_found);
    failure.hint = "end one of them by 'kill PID'";
    return failure;
  }
  std::string why = fmt::format("{}, {}", holder_line(found.holders, utc_now()), why_not_a_hold(found.holders));
  return refusal(lock, found, std::move(why), ErrorKind::not_found);
}

// Ends the hold, which may be stopped, and returns when its locks are free: a process
// releases them before its pidfd becomes readable. SIGTERM comes last, so that nothing
// disturbs the end: a SIGCONT cancels the SIGSTOP with which a debugger, or
// LeakSanitizer, attaches to the process, and that process then waits forever.
Result<void> end(const core::Hold& hold) {
  if (auto woken = sys::signal_process(hold.process.get(), SIGCONT); !woken) return woken;
  if (auto ended = sys::signal_process(hold.process.get(), SIGTERM); !ended) return ended;
  sys::wait_for_end(hold.process.get());
  return {};
}

struct ReleaseOptions {
  GlobalOptions global;
  core::Tier tier = core::Tier::per_pack;
  std::string path;
};

void define(Parser& parser, ReleaseOptions& options) {
  add_global_options(parser, options.global);
  add_path(parser, options.path);
  add_tier_option(parser, options.tier);
  parser.set_help("End the 'grex-lock hold' that holds the lock of PATH, with all its locks.",
                  "grex-lock release [OPTIONS] PATH",
                  "Examples:\n"
                  "  grex-lock release ~/ws/app\n"
                  "  grex-lock release -t workspace-sync ~/ws");
}

std::string document_of_release(const LockName& lock, pid_t pid) {
  Json document = document_of("release");
  document["tier"] = core::name_of(lock.tier);
  document["target"] = lock.target;
  document["path"] = lock.path;
  document["pid"] = pid;
  return to_line(document);
}

}  // namespace

Outcome release(const CommandLine& line, Events&) {
  ReleaseOptions options;
  if (const auto parsed = parse(line, options, define); !has_options(parsed)) return outcome_of(parsed);
  auto& [global, tier, path] = options;
  if (auto applied = apply_env_defaults(global); !applied) return applied.error();
  if (path.empty()) return usage_failure("PATH is missing", "'.' is the working directory itself");

  auto targets = core::resolve_each({tier, path}, *global.layouts);
  if (!targets) return failure_from(targets.error(), tier);
  core::sort_and_dedupe(*targets);
  const LockName lock = name_of(targets->front());
  Inspection found = inspect_holders(*targets);
  const auto hold = find_hold(lock, found);
  if (!hold) return hold.error();
  if (auto ended = end(**hold); !ended) return failure_from(ended.error(), tier);
  return global.json ? print(document_of_release(lock, (*hold)->pid)) : ExitStatus{};
}

}  // namespace grex::cli
