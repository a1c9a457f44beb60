#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <string>
#include <variant>
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
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"

namespace grex::cli {
namespace {

// Who was found at a lock.
struct LookedAt {
  std::vector<core::Hold> holds;     // one a process
  std::vector<core::Party> holders;  // all of them
  bool is_held = false;
};

// What can't be looked at counts too: it may be held.
LookedAt look_at(const std::vector<core::Target>& targets) {
  std::vector<std::string> files;
  for (const core::Target& target : targets) {
    for (std::string& file : core::files_to_look_at(target)) files.push_back(std::move(file));
  }
  LookedAt found;
  for (core::FileReport& report : core::inspect(files, core::visible_mounts())) {
    found.is_held = found.is_held || report.state == core::LockState::held || report.state == core::LockState::unknown;
    for (core::Hold& hold : core::find_holds(report)) {
      const auto is_it = [&hold](const core::Hold& other) { return other.pid == hold.pid; };
      if (std::none_of(found.holds.begin(), found.holds.end(), is_it)) found.holds.push_back(std::move(hold));
    }
    for (core::Party& holder : report.holders) found.holders.push_back(std::move(holder));
  }
  return found;
}

Failure refusal(const LockName& lock, LookedAt& found, std::string why, ErrorKind kind) {
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

// By what the lock is held, as far as its record tells.
std::string manner_of(const std::vector<core::Party>& holders) {
  const auto told = std::find_if(holders.begin(), holders.end(),
                                 [](const core::Party& party) { return party.verb && !party.verb->empty(); });
  if (told == holders.end()) return "and no record says that it is a 'grex-lock hold'";
  if (*told->verb == "hold") return "whose process could not be made sure of";
  return fmt::format("by 'grex-lock {}', not by 'grex-lock hold'", *told->verb);
}

// Why none of those who were found may be ended; nothing, if just one may.
std::optional<Failure> refuse(const LockName& lock, LookedAt& found) {
  if (found.holds.size() == 1) {
    const pid_t pid = found.holds.front().pid;
    const auto owner = sys::owner_of(pid);
    const uid_t user = sys::effective_uid();
    if (user == 0 || owner == user) return std::nullopt;
    return refusal(lock, found, fmt::format("the hold of pid {} is another user's", pid), ErrorKind::permission);
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
  std::string why = fmt::format("{}, {}", holder_line(found.holders, core::utc_now()), manner_of(found.holders));
  return refusal(lock, found, std::move(why), ErrorKind::not_found);
}

// The locks that PATH may mean at one tier, one a layout.
std::variant<std::vector<core::Target>, Failure> find_targets(const std::string& path, core::Tier tier,
                                                              const core::Layouts& layouts) {
  std::vector<core::Target> targets;
  for (const core::Layout layout : layouts) {
    auto target = core::resolve({tier, path, 1, core::CreateTarget::no, layout});
    if (!target) return failure_from(target.error(), tier);
    targets.push_back(std::move(*target));
  }
  core::put_in_order(targets);
  return targets;
}

// Ends the hold, which may be stopped, and comes back when its locks are free: they are
// before a process is seen to have ended. SIGTERM comes last, so that nothing disturbs
// the end: a SIGCONT takes back the SIGSTOP by which a debugger, or LeakSanitizer,
// attaches to it, and that waits for ever.
Result<void> end(const core::Hold& hold) {
  if (auto woken = sys::signal_process(hold.process.get(), SIGCONT); !woken) return woken;
  if (auto told = sys::signal_process(hold.process.get(), SIGTERM); !told) return told;
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

}  // namespace

Outcome release(const Invocation& invocation) {
  ReleaseOptions options;
  if (auto outcome = parse(invocation, options, define)) return *outcome;
  auto& [global, tier, path] = options;
  if (auto failure = complete(global)) return failed(*failure);
  if (path.empty()) return failed(usage_failure("PATH is missing", "'.' is the working directory itself"));

  const auto targets = find_targets(path, tier, *global.layouts);
  if (const auto* failure = std::get_if<Failure>(&targets)) return failed(*failure);
  const auto& wanted = std::get<std::vector<core::Target>>(targets);
  const LockName lock = name_of(wanted.front());
  LookedAt found = look_at(wanted);
  if (auto failure = refuse(lock, found)) return failed(*failure);
  const core::Hold& hold = found.holds.front();
  if (auto ended = end(hold); !ended) return failed(failure_from(ended.error(), tier));
  return global.json ? print(release_document(lock, hold.pid)) : Outcome{};
}

}  // namespace grex::cli
