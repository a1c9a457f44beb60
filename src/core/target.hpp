#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/layout.hpp"
#include "core/tier.hpp"
#include "sys/file.hpp"

namespace grex::core {

enum class CreateTarget { no, yes };

/// A lock as the user names it.
struct LockRequest {
  Tier tier = Tier::per_pack;
  std::string path;
  unsigned slots = 1;  ///< permits, at tier semaphore; 0 is unbounded
  CreateTarget create = CreateTarget::no;
};

/// A lock as the file system has it: the canonical path of what it guards, and
/// the lock files, any one of which is the lock. Only at tier semaphore there
/// may be several, or, where permits are unbounded, none.
struct Target {
  Tier tier = Tier::per_pack;
  std::string path;
  sys::Directory directory;        ///< what `names` are relative to
  std::vector<std::string> names;  ///< of the lock files

  [[nodiscard]] std::string lock_path(std::size_t index) const;

  /// All of them, in the order of `names`.
  [[nodiscard]] std::vector<std::string> lock_paths() const;

  /// What to call the lock in a message: its first file, or what it guards
  /// where it has none.
  [[nodiscard]] std::string shown_path() const;
};

/// Errors: not-found, permission, create (with CreateTarget::yes), system, io.
Result<Target> resolve(const LockRequest& request);

/// The path that is meant where the user gives none: the nearest directory, from
/// the working directory upwards, with a lock file of grex or `.grex/`.
std::optional<std::string> enclosing_path();

/// The lock files of a target that exist, in the order of its names.
std::vector<sys::FileId> existing_files(const Target& target);

}  // namespace grex::core
