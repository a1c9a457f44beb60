#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/deadline.hpp"
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
#include "sys/lock/flock.hpp"
#include "sys/process/pidfd.hpp"

namespace grex::cli {
namespace {

using HoldKind = core::Hold::Kind;

// The processes that hold a lock.
struct Inspection {
  std::vector<core::Hold> holds;           // one for each process
  std::vector<core::LockProcess> holders;  // all of them
  std::set<pid_t> waiters;                 // of these, none holds the whole lock
  bool is_held = false;                    // or it may be, because it can't be inspected
  std::optional<core::LockProcess> lease;  // that keeps a file from being inspected
  std::optional<Error> unsafe;             // if there is something else in the place of a file
  std::string linked;                      // a file of a hold that has a second name
  bool has_changed = false;                // a file changed while it was inspected
};

// As main() finds the command.
bool is_hold_command(const std::vector<std::string>& command) {
  std::vector<std::string> words = command;
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return split_command_line(static_cast<int>(words.size()), argv.data()).verb == "hold";
}

enum class Names { one, several, unknown };

// A name that comes and goes may be missed by each look at the file, and so may the one by
// which we found it. It changes the time of the last change.
Names count_names(const sys::LockFileName& name, const sys::FileStatus& before) {
  const auto now = sys::status_of_lock_file(name);
  if (before.names > 1 || (now && now->names > 1)) return Names::several;
  return now && now->id == before.id && now->changed == before.changed ? Names::one : Names::unknown;
}

void add_file(const sys::LockFileName& name, core::FileReport report, Inspection& found) {
  found.is_held = found.is_held || report.state == core::LockState::held || report.state == core::LockState::unknown;
  if (report.state == core::LockState::unknown && report.lease) found.lease = report.lease;
  if (report.why_unknown && report.why_unknown->kind == ErrorKind::unsafe_file) found.unsafe = report.why_unknown;
  for (core::Hold& hold : core::find_holds(report, is_hold_command)) {
    if (hold.kind == HoldKind::ours) {
      const Names names = count_names(name, *report.file);
      if (names != Names::one) found.linked = name.path();
      found.has_changed = found.has_changed || names == Names::unknown;
    }
    const auto is_it = [&hold](const core::Hold& other) { return other.pid == hold.pid; };
    const auto same = std::find_if(found.holds.begin(), found.holds.end(), is_it);
    if (same == found.holds.end()) {
      found.holds.push_back(std::move(hold));
    } else if (hold.kind == HoldKind::ours) {
      *same = std::move(hold);
    }
  }
  for (const core::LockProcess& waiter : report.waiters) found.waiters.insert(waiter.pid.value_or(0));
  core::add_processes(found.holders, std::move(report.holders), name.path());
}

Inspection inspect_holders(const core::Target& target) {
  std::vector<sys::LockFileName> files;
  for (const core::TargetFile& file : target.files) {
    for (sys::LockFileName& name : core::files_to_inspect(target, file)) files.push_back(std::move(name));
  }
  Inspection found;
  std::vector<core::FileReport> reports = core::inspect(files, core::visible_mounts());
  for (std::size_t i = 0; i < files.size(); ++i) add_file(files[i], std::move(reports[i]), found);
  std::erase_if(found.holds, [&found](const core::Hold& hold) { return found.waiters.contains(hold.pid); });
  return found;
}

Failure not_released(const LockName& lock, std::string why, ErrorKind kind, int exit_code) {
  Failure failure;
  failure.kind = kind;
  failure.what = "not released";
  failure.path = lock.path;
  failure.why = std::move(why);
  failure.exit_code = exit_code;
  failure.tier = lock.tier;
  return failure;
}

Failure refusal(const LockName& lock, Inspection& found, std::string why, ErrorKind kind) {
  Failure failure = not_released(lock, std::move(why), kind, exit_code::no_hold);
  failure.holders = std::move(found.holders);
  return failure;
}

// By its other name, it may be the lock of another pack, which PATH doesn't name.
Failure link_refusal(const LockName& lock, Inspection& found) {
  const char* const why = found.has_changed ? "it keeps changing, so it may be another pack's lock"
                                            : "it has a second name, so it may be another pack's lock";
  Failure failure = refusal(lock, found, why, ErrorKind::unsafe_file);
  failure.path = found.linked;
  failure.exit_code = exit_code::permission;
  failure.hint = fmt::format("end the hold by 'kill {}'", found.holds.front().pid);
  return failure;
}

std::string several_holds(const std::vector<core::Hold>& holds) {
  std::string pids;
  for (const core::Hold& hold : holds) pids += fmt::format("{}{}", pids.empty() ? "" : ", ", hold.pid);
  return fmt::format("it is held by several holds, the pids {}", pids);
}

// Why no hold was found. What the record says of its writer is repeated, but never a reason
// to end it.
std::string why_not_a_hold(const Inspection& found) {
  if (!found.holds.empty()) return "whose process could not be verified";
  const auto named = std::find_if(found.holders.begin(), found.holders.end(), [](const core::LockProcess& process) {
    return process.verb && !process.verb->empty() && *process.verb != "hold";
  });
  const auto is_seen = [](const core::LockProcess& process) { return process.pid.has_value(); };
  if (named == found.holders.end() && std::none_of(found.holders.begin(), found.holders.end(), is_seen)) {
    return "which may be a 'grex-lock hold'";
  }
  if (named == found.holders.end()) return "which is not a 'grex-lock hold'";
  return fmt::format("by 'grex-lock {}', not by 'grex-lock hold'", *named->verb);
}

// The only hold, if it may be ended.
Result<core::Hold*, Failure> find_hold(const LockName& lock, Inspection& found) {
  const auto is_ours = [](const core::Hold& hold) { return hold.kind == HoldKind::ours; };
  const auto ours = std::count_if(found.holds.begin(), found.holds.end(), is_ours);
  if (ours > 0) std::erase_if(found.holds, std::not_fn(is_ours));
  if (ours == 1 && found.linked.empty()) return &found.holds.front();
  if (ours == 1) return link_refusal(lock, found);
  if (ours > 1) {
    Failure failure = refusal(lock, found, several_holds(found.holds), ErrorKind::not_found);
    failure.hint = "end one of them by 'kill PID'";
    return failure;
  }
  if (found.unsafe) return failure_from(*found.unsafe, lock.tier);
  if (!found.is_held) return refusal(lock, found, "nobody holds it", ErrorKind::not_found);
  for (const core::Hold& hold : found.holds) {
    if (hold.kind != HoldKind::anothers) continue;
    return refusal(lock, found, fmt::format("the hold of pid {} is another user's", hold.pid), ErrorKind::permission);
  }
  if (found.holders.empty() && found.lease) {
    return refusal(lock, found, lease_text(*found.lease), ErrorKind::not_found);
  }
  std::string why = fmt::format("{}, {}", holder_line(found.holders, utc_now()), why_not_a_hold(found));
  return refusal(lock, found, std::move(why), ErrorKind::not_found);
}

// Root may lack the right, in a container for example.
Failure signal_failure(const LockName& lock, pid_t pid, const Error& error) {
  Failure failure = failure_from(error, lock.tier);
  failure.what = "not released";
  failure.path = lock.path;
  if (error.kind == ErrorKind::permission) {
    failure.why = "no permission to signal the hold";
    failure.hint = fmt::format("end it as its own user, by 'kill {}'", pid);
  }
  failure.why += fmt::format(", pid {}", pid);
  return failure;
}

// Ends the hold, which may be stopped, and returns when its locks are free: a process
// releases them before its pidfd becomes readable. SIGTERM comes last, so that nothing
// disturbs the end: a SIGCONT cancels the SIGSTOP with which a debugger, or
// LeakSanitizer, attaches to the process, and that process then waits forever.
Result<void, Failure> end(const core::Hold& hold, const LockName& lock) {
  constexpr auto time_to_end = std::chrono::seconds(10);
  for (const int signal : {SIGCONT, SIGTERM}) {
    if (auto sent = sys::signal_process(hold.process.get(), signal); !sent) {
      return signal_failure(lock, hold.pid, sent.error());
    }
  }
  if (sys::wait_for_end(hold.process.get(), Deadline::clock::now() + time_to_end)) return {};
  return not_released(lock, fmt::format("told to end, but still there: pid {}", hold.pid), ErrorKind::timeout,
                      exit_code::busy);
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

  const auto target = core::resolve({.tier = tier, .path = path, .layouts = *global.layouts});
  if (!target) return failure_from(target.error(), tier);
  const LockName lock = name_of(*target);
  Inspection found = inspect_holders(*target);
  // A hold that has just begun writes its record.
  constexpr int max_repeats = 8;
  for (int i = 0; i < max_repeats && found.has_changed; ++i) found = inspect_holders(*target);
  const auto hold = find_hold(lock, found);
  if (!hold) return hold.error();
  if (auto ended = end(**hold, lock); !ended) return ended.error();
  return global.json ? print(document_of_release(lock, (*hold)->pid)) : ExitStatus{};
}

}  // namespace grex::cli
