#pragma once

#include <string>
#include <vector>

#include "cli/args/options.hpp"

namespace grex::cli {

/// Keeps new lock files out of `git status`, unless --git-exclude is off.
class GitExcluder {
 public:
  /// A lock file of this name was created, or got its first record. A repository whose
  /// info/exclude can't be written is reported once, unless it is no pack of grex: grex
  /// skips a pack if git shows anything there.
  void look_at(const sys::LockFileName& lock_file, const LockOptions& options);

 private:
  std::vector<std::string> directories_;  // of lock files that were looked at
  std::vector<std::string> reported_;     // work trees
};

}  // namespace grex::cli
