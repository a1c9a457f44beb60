#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"
#include "sys/file/file.hpp"

namespace grex::core {

enum class CreateTarget { no, yes };

/// What to do if the lock is busy. `report`: an ancestor seems to hold it, so a wait might
/// never end.
enum class IfBusy { wait, report };

/// A lock as the user names it, in one layout.
struct LockRequest {
  Tier tier = Tier::per_pack;
  std::string path;
  unsigned slots = 1;  ///< at tier semaphore, how many slots there are; 0: no limit
  CreateTarget create = CreateTarget::no;
  Layout layout = Layout::flat;
  IfBusy if_busy = IfBusy::wait;
};

/// A lock as the file system has it: the canonical path of what it guards, and the lock
/// files, any one of which is the lock. Only at tier semaphore can there be several, or
/// none if slots have no limit.
struct Target {
  LockRequest request;
  std::string path;
  sys::Directory directory;        ///< what `names` are relative to
  std::vector<std::string> names;  ///< of the lock files

  [[nodiscard]] Tier tier() const { return request.tier; }

  [[nodiscard]] std::string lock_path(std::size_t index) const;

  /// The paths of all lock files, in the order of `names`.
  [[nodiscard]] std::vector<std::string> lock_paths() const;

  /// The path that names the lock in a message: its first file, or what it guards if it
  /// has none.
  [[nodiscard]] std::string shown_path() const;
};

/// Errors: not-found, permission, create (with CreateTarget::yes), system, io.
Result<Target> resolve(const LockRequest& request);

/// The same lock in each of these layouts, whatever layout the request has. Errors:
/// those of resolve.
Result<std::vector<Target>> resolve_each(LockRequest request, const Layouts& layouts);

/// The `op` of the not-found Error if no directory above a clone's destination is found that
/// keeps its lock in the nested layout. With ENOENT, there is none. With EPERM or EACCES, the
/// search stopped at the directory that is the Error's path; see SearchStop.
inline constexpr std::string_view find_meta = "find .grex/pack.yaml above";

/// Sorts locks by tier, path and layout, and removes duplicates. All processes take locks
/// in this order, so that no two wait for each other.
void sort_and_dedupe(std::vector<Target>& targets);

/// Resolves the targets again, as the file system has them now, and sorts them. Errors:
/// those of resolve; then `at` is the index of the target that could not be resolved, and
/// `targets` has not changed.
Result<void> re_resolve(std::vector<Target>& targets, std::size_t& at);

/// The slots of a workspace that have a file, whatever number of slots the processes that
/// created them used; in ascending order.
struct Slots {
  std::vector<unsigned> numbers;
  std::vector<unsigned> queues;  ///< the numbers N of slots that have a queue file
};

/// `target` must be one of tier semaphore. Errors: those of sys::names_beside_lock_file,
/// except for a missing directory.
Result<Slots> existing_slots(const Target& target);

/// The paths of a slot's file, and of the queue file for one of `slots` slots.
std::string slot_path(const Target& target, unsigned slot);
std::string queue_path(const Target& target, unsigned slots);

/// The paths of a target's lock files. At tier semaphore, those of all slots that exist,
/// since any of them is the lock; if they can't be listed, those of the target's slots.
std::vector<std::string> files_to_inspect(const Target& target);

/// A lock file that exists.
struct ExistingFile {
  std::string path;
  sys::FileId id;
};

/// Those of files_to_inspect that exist.
std::vector<ExistingFile> existing_files(const Target& target);

/// Their identities, in the same order.
std::vector<sys::FileId> ids_of(const std::vector<ExistingFile>& files);

}  // namespace grex::core
