#include "cli/locking/guards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/exit_code.hpp"
#include "cli/report/output.hpp"
#include "core/lock/search_upwards.hpp"

namespace grex::cli {
namespace {

Result<core::Target, Failure> guard_of(const std::string& workspace, const GlobalOptions& global) {
  auto target = core::resolve({.tier = core::Tier::workspace_sync,
                               .path = workspace,
                               .layouts = global.layouts.value(),
                               .mode = sys::Mode::shared,
                               .is_guard = true});
  if (target) return std::move(*target);
  Failure failure = failure_from(target.error(), core::Tier::workspace_sync);
  if (failure.hint.empty()) failure.hint = "DIR in --guard=DIR has to be a workspace directory";
  return failure;
}

// No workspace was found above the pack.
Failure no_workspace(const core::Target& pack, const core::SearchResult& search) {
  Failure failure;
  failure.kind = ErrorKind::not_found;
  failure.what = "nothing to guard";
  failure.path = pack.path;
  failure.exit_code = exit_code::not_found;
  failure.tier = core::Tier::workspace_sync;
  failure.why = "neither it nor a directory above has .grex/pack.yaml";
  failure.hint = "leave out --guard, or name the workspace: --guard=DIR";
  if (search.stop) {
    const bool is_unsafe = search.stop->reason == core::SearchStop::Reason::unsafe;
    failure.why = fmt::format("the search for .grex/pack.yaml stopped at {}, {}", search.stop->directory,
                              is_unsafe ? "which other users can write to" : "which cannot be read");
  }
  return failure;
}

}  // namespace

Result<void, Failure> add_guards(std::vector<core::Target>& targets, const LockOptions& options,
                                 const GlobalOptions& global) {
  const bool is_asked_for = !options.guards.empty();
  if (!is_asked_for && !options.guards_by_default) return {};
  std::vector<core::Target> guards;
  const auto add = [&](const std::string& workspace) -> Result<void, Failure> {
    auto guard = guard_of(workspace, global);
    if (!guard) return std::move(guard.error());
    guards.push_back(std::move(*guard));
    return {};
  };
  bool has_pack = false;
  for (const core::Target& target : targets) {
    if (target.tier() != core::Tier::per_pack) continue;
    has_pack = true;
    const core::SearchResult search = core::find_workspaces(target.request.path);
    for (const sys::Directory& workspace : search.found) {
      if (auto added = add(workspace.path); !added) return added;
    }
    const bool is_named = std::any_of(options.guards.begin(), options.guards.end(),
                                      [](const std::string& guard) { return guard != guard_above; });
    if (!search.found.empty() || is_named) continue;
    Failure none = no_workspace(target, search);
    if (is_asked_for) return none;
    // Without a workspace above, the pack is locked alone.
    if (search.stop && options.verbosity != Verbosity::quiet) {
      note(fmt::format("warning: {}: {}: {}", none.what, none.path, none.why));
    }
  }
  if (is_asked_for && !has_pack) {
    return usage_failure("--guard needs a lock at tier per-pack", "it guards the workspaces above a pack");
  }
  for (const std::string& guard : options.guards) {
    if (guard == guard_above) continue;
    if (auto added = add(guard); !added) return added;
  }
  std::move(guards.begin(), guards.end(), std::back_inserter(targets));
  return {};
}

Failure with_guard_hint(Failure failure) {
  failure.hint = "use --guard on the outermost command, or take both locks in one command with -l";
  return failure;
}

}  // namespace grex::cli
