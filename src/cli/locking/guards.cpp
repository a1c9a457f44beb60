#include "cli/locking/guards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/exit_code.hpp"
#include "cli/args/env_defaults.hpp"
#include "cli/report/output.hpp"
#include "cli/report/printable.hpp"
#include "core/lock/layout.hpp"
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

// Where the search stopped, and why.
std::string place_of(const core::SearchStop& stop) {
  const bool is_unsafe = stop.reason == core::SearchStop::Reason::unsafe;
  return fmt::format("{}, {}", stop.directory, is_unsafe ? "which other users can write to" : "which cannot be read");
}

// There may be a workspace above, which is not guarded. Packs side by side have one warning.
void note_stop(const core::Target& pack, const core::SearchResult& search, std::vector<std::string>& noted) {
  if (std::find(noted.begin(), noted.end(), search.stop->directory) != noted.end()) return;
  noted.push_back(search.stop->directory);
  std::string guarded;
  for (const sys::Directory& workspace : search.found) {
    guarded += (guarded.empty() ? "" : ", ") + workspace.path;
  }
  note(fmt::format("warning: {}: guards {}; the search for a workspace further up stopped at {}", pack.path,
                   guarded.empty() ? "no workspace" : guarded, place_of(*search.stop)));
}

// No workspace was found above the pack.
Failure no_workspace(const core::Target& pack, const core::SearchResult& search) {
  Failure failure;
  failure.kind = ErrorKind::not_found;
  failure.what = "not found";
  failure.path = pack.path;
  failure.exit_code = exit_code::not_found;
  failure.tier = core::Tier::workspace_sync;
  failure.why = search.stop ? "no workspace: the search for .grex/pack.yaml stopped at " + place_of(*search.stop)
                            : "no .grex/pack.yaml here or above";
  failure.hint = "name the workspace: --guard=DIR";
  return failure;
}

// `--guard DIR` with a blank is `--guard` and a PATH.
void note_locked_workspace(const std::vector<core::Target>& targets, const std::vector<std::string>& workspaces,
                           const LockOptions& options) {
  const auto& paths = options.paths;
  const bool has_blank = std::find(options.guards.begin(), options.guards.end(), guard_above) != options.guards.end();
  if (!has_blank || paths.size() < 2 || options.verbosity == Verbosity::quiet) return;
  for (const core::Target& target : targets) {
    const std::string& path = target.request.path;
    const bool is_path = std::find(paths.begin(), paths.end(), path) != paths.end();
    if (!is_path || std::find(workspaces.begin(), workspaces.end(), target.path) == workspaces.end()) continue;
    note(fmt::format("warning: {} is locked as a pack, too; to only guard it, write {}", path,
                     shell_line({"--guard=" + path})));
    return;
  }
}

}  // namespace

void note_no_workspace(const core::Target& target) {
  if (target.files.empty() || core::is_workspace(target.path)) return;
  const core::SearchResult above = core::find_meta_directory(*target.files.front().directory);
  if (above.found.empty()) return;
  const std::string& workspace = above.found.front().path;
  if (target.tier() == core::Tier::semaphore) {
    note(fmt::format("warning: {} has no .grex/pack.yaml; its slots are not those of the workspace {}", target.path,
                     workspace));
    return;
  }
  note(fmt::format("warning: {} has no .grex/pack.yaml; this lock doesn't exclude 'grex sync' of the workspace {}",
                   target.path, workspace));
}

void note_no_pack(const sys::Directory& directory) {
  const auto pack = core::pack_around(directory);
  if (!pack) return;
  note(fmt::format("warning: {} is not a pack, but lies in one; to lock the pack, name {} as PATH", directory.path,
                   shell_line({pack->path})));
}

void note_no_pack(const core::Target& target) {
  if (target.tier() == core::Tier::per_pack && !target.files.empty()) note_no_pack(*target.files.front().directory);
}

Result<void, Failure> add_guards(std::vector<core::Target>& targets, const LockOptions& options,
                                 const GlobalOptions& global) {
  const bool is_asked_for = !options.guards.empty();
  const auto is_pack = [](const core::Target& target) {
    return target.tier() == core::Tier::per_pack && !target.path.empty();
  };
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
  const bool is_complete = is_named && workspaces.size() == options.guards.size();  // as the user wants it
  std::vector<std::string> above;
  std::vector<std::string> noted;  // directories at which the search stopped
  for (const core::Target& target : targets) {
    if (!is_pack(target)) continue;
    const core::SearchResult search = core::find_workspaces(target.request.path);
    for (const sys::Directory& workspace : search.found) {
      // Of a pack that is itself a workspace, that is the first.
      if (workspace.path != target.path) above.push_back(workspace.path);
      workspaces.push_back(workspace.access_path);
    }
    if (search.found.empty() && is_asked_for && !is_named) return no_workspace(target, search);
    if (search.stop && !is_complete && options.verbosity != Verbosity::quiet) note_stop(target, search, noted);
  }
  note_locked_workspace(targets, above, options);
  for (const std::string& workspace : workspaces) {
    auto guard = guard_of(workspace, global);
    if (!guard) return std::move(guard.error());
    targets.push_back(std::move(*guard));
  }
  return {};
}

Failure with_guard_hint(Failure failure, const std::vector<core::Target>& targets, const LockOptions& options) {
  failure.hint = "use --guard on the outermost command, or take both locks in one command with -l";
  if (!failure.ancestor || failure.ancestor->tier != core::Tier::semaphore) return failure;
  const auto place = core::lock_place_of(failure.ancestor->path);
  if (!place) return failure;
  // How many slots there are isn't known here.
  std::vector<std::string> words = {"-l", "semaphore:" + place->target, "--slots", "N"};
  for (const std::string& guard : options.guards) {
    words.push_back(guard == guard_above ? "--guard" : "--guard=" + guard);
  }
  if (options.guards.empty()) words.emplace_back("--guard");  // by default
  for (const core::Target& target : targets) {
    if (target.tier() == core::Tier::per_pack) words.push_back(target.path);
  }
  failure.hint = "take both in one command: " + shell_line(words) +
                 "; to run 'grex sync' between them, see 'Sync, then build' in grex-lock(7)";
  return failure;
}

}  // namespace grex::cli
