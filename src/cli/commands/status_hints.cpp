#include "cli/commands/status_hints.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>

#include "cli/report/printable.hpp"
#include "core/lock/search_upwards.hpp"

namespace grex::cli {
namespace {

std::string status_line(const std::string& path) { return own_line("status", {path}); }

// A lock of a directory inside a pack excludes nothing that works on the pack.
std::string pack_hint(const sys::Directory& directory) {
  const auto pack = core::pack_around(directory);
  if (!pack) return {};
  return fmt::format("{} is not a pack, but lies in one: {}\n", printable(directory.path), status_line(pack->path));
}

// A grex sync, or a guarded job on another pack, may be why grex leaves this pack alone.
std::string workspace_hint(const std::string& path, const sys::Directory& directory, const core::Layouts& layouts,
                           const StopToken& should_stop) {
  std::vector<core::FoundLock> locks;
  for (const sys::Directory& workspace : core::find_workspaces(path).found) {
    if (workspace.id == directory.id) continue;  // its lock is in the report
    auto found = core::locks_of(workspace.path, layouts, 0);
    if (!found) continue;
    std::copy_if(std::make_move_iterator(found->begin()), std::make_move_iterator(found->end()),
                 std::back_inserter(locks),
                 [](const core::FoundLock& lock) { return lock.tier == core::Tier::workspace_sync; });
  }
  if (locks.empty()) return {};
  const auto reports =
      core::report_on(std::move(locks), 0, core::FileSystems::of_all_but_absent, {core::LostScope::Extent::none},
                      {core::HolderSearch::Extent::acquirers, should_stop});
  const auto held = std::find_if(reports.begin(), reports.end(), [](const core::LockReport& lock) {
    return lock.merged.state == core::LockState::held;
  });
  if (held == reports.end()) return {};
  return fmt::format("the workspace {} is locked: {}\n", printable(held->target), status_line(held->target));
}

// A workspace is likely to have packs whose locks are in use.
std::string below_hint(const StatusReport& report) {
  if (report.locks.empty()) return {};
  const std::string& workspace = report.locks.front().target;
  if (!core::is_workspace(workspace)) return {};
  return fmt::format("-r shows the locks below {}\n", printable(workspace));
}

}  // namespace

std::string status_hints(const StatusReport& report, const std::vector<std::string>& paths,
                         const core::Layouts& layouts, const StopToken& should_stop) {
  const bool is_in_use = std::any_of(report.locks.begin(), report.locks.end(), may_be_in_use);
  std::string hints;
  for (const std::string& path : paths) {
    const auto directory = sys::open_directory(path);
    if (!directory) continue;
    std::string hint = pack_hint(*directory);
    if (hint.empty() && !is_in_use) hint = workspace_hint(path, *directory, layouts, should_stop);
    if (hints.find(hint) == std::string::npos) hints += hint;
  }
  return paths.size() == 1 && !is_in_use ? hints + below_hint(report) : hints;
}

}  // namespace grex::cli
