#include <algorithm>
#include <string>

#include "cli/args/env_defaults.hpp"
#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"
#include "cli/commands/commands.hpp"
#include "cli/locking/busy.hpp"
#include "cli/locking/cluster_probe.hpp"
#include "cli/locking/guards.hpp"
#include "cli/locking/plan.hpp"
#include "cli/locking/take.hpp"
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
  parser.begin_group(group::which_locks);
  add_tier_option(parser, options.lock.tier, "tier of PATH (default: per-pack)");
  add_guard_option(parser, options.lock, "include the workspace locks of 'run --guard'");
  add_slots_option(parser, options.lock.slots);
  add_mode_options(parser, options.lock);
  add_layout_option(parser, options.global);
  add_cluster_options(parser, options.lock.cluster, WithLease::no);
  parser.begin_group(group::if_busy);
  add_busy_options(parser, options.lock);
  parser.begin_group(group::reports);
  add_output_options(parser, options.global);
  add_verbosity_options(parser, options.lock.verbosity);
  add_help_options(parser);
  parser.set_help("Check whether a lock is free: 0 if free, 75 if busy. Creates nothing.",
                  "grex-lock probe [OPTIONS] [PATH]", "Example: grex-lock probe -q ~/ws/app && echo free");
}

Result<Parsed, Failure> parse_probe(const CommandLine& line, ProbeOptions& options) {
  if (!line.has_only_paths() || line.arguments.size() > 1) return parse(line, options, define);
  if (!line.arguments.empty()) options.path = line.arguments.front();
  return Parsed::options;
}

enum class Answer { free, ours };

std::string document_of_probe(const LockName& lock, const std::string& path, Answer answer, sys::Mode mode) {
  Json document = document_of("probe");
  document["tier"] = core::name_of(lock.tier);
  document["target"] = or_null(lock.target);
  document["path"] = path;
  document["state"] = core::name_of(answer == Answer::ours ? core::LockState::held : core::LockState::free);
  document["mode"] = sys::name_of(mode);
  return to_line(document);
}

Outcome print_answer(const LockName& name, const std::string& path, Answer answer, const ProbeOptions& options) {
  if (options.global.json) return print(document_of_probe(name, path, answer, options.lock.mode));
  if (options.lock.verbosity == Verbosity::verbose) {
    note((answer == Answer::ours ? "held by an ancestor: " : "free: ") + path);
  }
  return ExitStatus{};
}

}  // namespace

Outcome probe(const CommandLine& line, Events& events) {
  ProbeOptions options;
  if (const auto parsed = parse_probe(line, options); !has_options(parsed)) return outcome_of(parsed);
  auto& [global, lock, path] = options;
  lock.nonblock = true;
  if (!path.empty()) lock.paths = {path};
  if (auto applied = apply_env_defaults(global, lock); !applied) return applied.error();

  auto plan = make_plan(lock, global);
  if (!plan) return plan.error();
  std::string path_of_last;
  for (std::size_t i = 0; i < plan->targets.size();) {
    const core::Target& target = plan->targets[i];
    path_of_last = target.shown_path();
    const auto probed = core::probe(target);
    if (!probed) return open_failure(probed.error(), target);
    if (probed->outcome == sys::Acquire::held) {
      path_of_last = probed->path;
      if (probed->is_new && lock.verbosity != Verbosity::quiet) note_no_pack(target);
      ++i;
      continue;
    }
    const core::TargetFile& file = target.files[probed->file];
    if (file.if_busy == core::WhenBusy::wait) {
      return busy_failure_soon(
          {name_of(target, file), target.names_from(file), busy_report_of(lock), audience_of(lock, global, events)});
    }
    if (auto again = check_busy(*plan, {i, probed->file}, lock); !again) return std::move(again.error());
  }
  if (plan->cluster) {
    ClusterProbe in_cluster(*plan->cluster, plan->targets, lock, global, events);
    if (auto free = in_cluster.check_free(); !free) return free.error();
  }
  // Guards come before what they guard.
  const bool is_free = !plan->targets.empty() && !plan->targets.back().request.is_guard;
  if (is_free) return print_answer(name_of(plan->targets.back()), path_of_last, Answer::free, options);
  const auto is_guard = [&plan](const LockName& name) {
    return std::find(plan->guards.begin(), plan->guards.end(), name.target) != plan->guards.end();
  };
  const auto ours = std::find_if_not(plan->already_ours.rbegin(), plan->already_ours.rend(), is_guard);
  const LockName& name = ours != plan->already_ours.rend() ? *ours : plan->already_ours.back();
  return print_answer(name, name.path, Answer::ours, options);
}

}  // namespace grex::cli
