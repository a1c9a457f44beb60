#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/commands/status_report.hpp"
#include "cli/commands/status_watch.hpp"
#include "core/inspect/find_locks.hpp"

namespace grex::cli {

/// Which locks `status` reports.
struct StatusScope {
  std::vector<std::string> paths;
  bool recursive = false;
  bool all = false;
  unsigned slots = 0;
};

/// What was found, and notes on what was not searched, or could not be.
struct FoundLocks {
  std::vector<core::FoundLock> locks;
  std::vector<std::string> notes;
  int exit_code = 0;
  bool is_complete = true;              ///< false: something was not searched, or could not be
  std::optional<Unseen> unseen;         ///< with --all
  std::vector<std::string> below = {};  ///< with -r, the canonical paths of the directories
  std::vector<std::string> paths = {};  ///< each PATH, or its default, if it is not searched
};

Result<FoundLocks, Failure> find_locks(const StatusScope& scope, const core::Layouts& layouts,
                                       const ViewContext& context);

}  // namespace grex::cli
