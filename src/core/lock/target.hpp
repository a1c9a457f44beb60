#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"
#include "sys/file/file.hpp"

namespace grex::core {

enum class CreateTarget { no, yes };

/// A lock as the user names it, in one layout.
struct LockRequest {
  Tier tier = Tier::per_pack;
  std::string path;
  unsigned slots = 1;  ///< permits, at tier semaphore; 0 is unbounded
  CreateTarget create = CreateTarget::no;
  Layout layout = Layout::flat;
};

/// A lock as the file system has it: the canonical path of what it guards, and
/// the lock files, any one of which is the lock. Only at tier semaphore there
/// may be several, or, where permits are unbounded, none.
struct Target {
  LockRequest request;
  std::string path;
  sys::Directory directory;        ///< what `names` are relative to
  std::vector<std::string> names;  ///< of the lock files

  [[nodiscard]] Tier tier() const { return request.tier; }

  [[nodiscard]] std::string lock_path(std::size_t index) const;

  /// All of them, in the order of `names`.
  [[nodiscard]] std::vector<std::string> lock_paths() const;

  /// What to call the lock in a message: its first file, or what it guards
  /// where it has none.
  [[nodiscard]] std::string shown_path() const;
};

/// Errors: not-found, permission, create (with CreateTarget::yes), system, io.
Result<Target> resolve(const LockRequest& request);

/// The `op` of the not-found Error where nothing above a clone's destination has
/// the `.grex/` that keeps its lock in the nested layout.
inline constexpr std::string_view find_meta = "find .grex/ above";

/// Puts locks into the one order in which everyone takes them, by tier, path and
/// layout, so that no two wait for each other; a lock that is named twice is
/// there once.
void sort_and_dedupe(std::vector<Target>& targets);

/// Makes them anew, as the file system has them now, and puts them in order.
/// Errors: those of resolve; then `at` is the target that could not be made, and
/// nothing has changed.
Result<void> re_resolve(std::vector<Target>& targets, std::size_t& at);

/// The path that is meant where the user gives none: the nearest directory, from
/// the working directory upwards, with a lock file of grex or `.grex/`.
std::optional<std::string> enclosing_path();

/// What there is of a workspace's permits, whatever number of them was meant by
/// whoever made them, in ascending order.
struct Slots {
  std::vector<unsigned> numbers;
  std::vector<unsigned> queues;  ///< the numbers of permits for which somebody had to wait
};

/// `target` is one of tier semaphore. Errors: those of sys::names_in, but for a
/// missing directory.
Result<Slots> existing_slots(const Target& target);

/// The paths of a permit, and of the queue for one of so many.
std::string slot_path(const Target& target, unsigned slot);
std::string queue_path(const Target& target, unsigned slots);

/// The paths of a target's lock files; at tier semaphore those of all permits that
/// are there, since any of them is one, or of those that are meant where that can't
/// be known.
std::vector<std::string> files_to_look_at(const Target& target);

/// A lock file that exists.
struct ExistingFile {
  std::string path;
  sys::FileId id;
};

/// Those of files_to_look_at that are there.
std::vector<ExistingFile> existing_files(const Target& target);

/// What they are, whatever they are called.
std::vector<sys::FileId> ids_of(const std::vector<ExistingFile>& files);

}  // namespace grex::core
