#include "cli/locking/guards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/exit_code.hpp"
#include "base/text.hpp"
#include "cli/args/env_defaults.hpp"
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
  return failure_from(target.error(), core::Tier::workspace_sync);
}

std::string stop_text(const core::SearchStop& stop) {
  return fmt::format(
      "the search for .grex/pack.yaml stopped at {}, {}", stop.directory,
      stop.reason == core::SearchStop::Reason::unsafe ? "which other users can write to" : "which cannot be read");
}

// No workspace was found above the pack.
Failure no_workspace(const core::Target& pack, const core::SearchResult& search) {
  Failure failure;
  failure.kind = ErrorKind::not_found;
  failure.what = "not found";
  failure.path = pack.path;
  failure.exit_code = exit_code::not_found;
  failure.tier = core::Tier::workspace_sync;
  failure.why = search.stop ? "no workspace: " + stop_text(*search.stop) : "no .grex/pack.yaml here or above";
  failure.hint = "name the workspace: --guard=DIR";
  return failure;
}

// `--guard DIR` with a blank is `--guard` and a PATH.
void note_locked_workspaces(const std::vector<core::Target>& targets, const core::Target& pack,
                            const core::SearchResult& search) {
  for (const core::Target& other : targets) {
    const auto is_it = [&other](const sys::Directory& workspace) { return workspace.path == other.path; };
    const bool is_locked = &other != &pack && other.tier() == core::Tier::per_pack;
    if (!is_locked || std::none_of(search.found.begin(), search.found.end(), is_it)) continue;
    note(fmt::format("warning: {0} is locked as a pack, too; to only guard it, write --guard={0}", other.path));
  }
}

}  // namespace

void note_no_workspace(const core::Target& target) {
  if (target.files.empty() || sys::exists(path_in(target.path, ".grex/pack.yaml"))) return;
  const core::SearchResult above = core::find_meta_directory(*target.files.front().directory);
  if (above.found.empty()) return;
  note(fmt::format("warning: {} has no .grex/pack.yaml, so no grex takes its lock; the workspace is {}", target.path,
                   above.found.front().path));
}

Result<void, Failure> add_guards(std::vector<core::Target>& targets, const LockOptions& options,
                                 const GlobalOptions& global) {
  const bool is_asked_for = !options.guards.empty();
  const auto is_pack = [](const core::Target& target) { return target.tier() == core::Tier::per_pack; };
  if (std::none_of(targets.begin(), targets.end(), is_pack)) return {};
  if (!is_asked_for) {
    const auto by_default = guards_by_default();
    if (!by_default) return by_default.error();
    if (!*by_default) return {};
  }
  std::vector<std::string> workspaces;
  for (const std::string& guard : options.guards) {
    if (guard != guard_above) workspaces.push_back(guard);
  }
  const bool is_named = !workspaces.empty();
  const bool wants_all = !is_named || workspaces.size() < options.guards.size();
  for (const core::Target& target : targets) {
    if (!is_pack(target)) continue;
    const core::SearchResult search = core::find_workspaces(target.request.path);
    for (const sys::Directory& workspace : search.found) workspaces.push_back(workspace.access_path);
    if (search.found.empty() && is_asked_for && !is_named) return no_workspace(target, search);
    if (is_asked_for && options.verbosity != Verbosity::quiet) note_locked_workspaces(targets, target, search);
    // There may be a workspace above, which is not guarded.
    if (search.stop && wants_all && options.verbosity != Verbosity::quiet) {
      note(
          fmt::format("warning: {}: not guarded from workspaces further up: {}", target.path, stop_text(*search.stop)));
    }
  }
  for (const std::string& workspace : workspaces) {
    auto guard = guard_of(workspace, global);
    if (!guard) return std::move(guard.error());
    targets.push_back(std::move(*guard));
  }
  return {};
}

Failure with_guard_hint(Failure failure) {
  failure.hint = "use --guard on the outermost command, or take both locks in one command with -l";
  return failure;
}

}  // namespace grex::cli
