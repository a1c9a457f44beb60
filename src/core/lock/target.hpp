#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "core/lock/layout.hpp"
#include "core/lock/tier.hpp"
#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

enum class CreateTarget { no, yes };

/// What to do if a file is busy.
enum class WhenBusy {
  wait,
  check,   ///< report it before waiting: a process above this one may have it, so a wait might never end
  report,  ///< the same, and GREX_LOCK_STACK says so
};

/// A lock as the user names it.
struct LockRequest {
  Tier tier = Tier::per_pack;
  std::string path;
  unsigned slots = 1;  ///< at tier semaphore, how many slots there are; 0: no limit
  CreateTarget create = CreateTarget::no;
  Layouts layouts = {Layout::flat, Layout::nested};  ///< those whose files make up the lock
  sys::Mode mode = sys::Mode::exclusive;             ///< as wanted: see mode_at
  bool is_guard = false;  ///< a workspace above a pack, which is locked to keep grex out of the pack
  /// The lock's name in the cluster that keeps it, too; empty: none does. Then `path` may be empty:
  /// it has no files.
  std::string cluster_name = {};
};

/// A file that has to be locked; at tier semaphore, any one of several.
struct TargetFile {
  Layout layout = Layout::flat;
  std::shared_ptr<const sys::Directory> directory;  ///< what `names` are relative to
  std::vector<std::string> names;                   ///< one; or those of the slots, none if they have no limit
  WhenBusy if_busy = WhenBusy::wait;

  [[nodiscard]] sys::LockFileName name_at(std::size_t index) const { return {directory, names.at(index)}; }
  [[nodiscard]] std::string path(std::size_t index) const { return name_at(index).path(); }

  /// In the order of `names`.
  [[nodiscard]] std::vector<sys::LockFileName> full_names() const;
  [[nodiscard]] std::vector<std::string> paths() const;
};

/// The mode in which a lock is taken: a slot is never shared, whatever is wanted.
inline sys::Mode mode_at(Tier tier, sys::Mode wanted) {
  return tier == Tier::semaphore ? sys::Mode::exclusive : wanted;
}

/// A lock as the file system has it: the canonical path of what it guards, and its files,
/// all of which are locked.
struct Target {
  LockRequest request;
  std::string path;
  std::vector<TargetFile> files;       ///< the flat one first, without those that an ancestor has
  std::vector<Layout> inherited = {};  ///< the layouts of those
  bool is_cluster_inherited = false;   ///< an ancestor has the cluster's lock
  /// Why it has no nested file, if the search for the meta directory stopped: see find_meta.
  std::optional<Error> stop = {};

  [[nodiscard]] Tier tier() const { return request.tier; }

  /// The mode in which its files are locked.
  [[nodiscard]] sys::Mode mode() const { return mode_at(tier(), request.mode); }

  /// The names of its files, from this one on: if it is busy, its holder has the next, too,
  /// and has left its record there.
  [[nodiscard]] std::vector<sys::LockFileName> names_from(const TargetFile& file) const;

  /// Whether a cluster's lock must be taken, and whether anything must.
  [[nodiscard]] bool wants_cluster() const { return !request.cluster_name.empty() && !is_cluster_inherited; }
  [[nodiscard]] bool wants_any() const { return !files.empty() || wants_cluster(); }

  /// What names the lock in a message: its first file, or what it guards if it has none, or its
  /// name in the cluster.
  [[nodiscard]] std::string shown_path() const;

  /// Whether a layout was asked for in which the lock has no file: a clone's, if no meta
  /// directory is above it.
  [[nodiscard]] bool lacks_layout() const;
};

/// A file of one of several targets.
struct FilePosition {
  std::size_t target = 0;
  std::size_t file = 0;
};

/// Without a path, there is nothing to resolve. Errors: not-found, permission, create (with
/// CreateTarget::yes), system, io.
Result<Target> resolve(const LockRequest& request);

/// The same if what the path names is a directory that is open already.
Result<Target> resolve_in(const std::shared_ptr<const sys::Directory>& directory, const LockRequest& request);

/// The `op` of the not-found Error if only the nested layout was asked for, and no directory
/// above a clone's destination is found that keeps its lock there. With ENOENT, there is
/// none. With EPERM or EACCES, the search stopped at the directory that is the Error's path;
/// see SearchStop.
inline constexpr std::string_view find_meta = "find .grex/pack.yaml above";

/// The `op` of the not-found Error for the root directory, into which nothing can be cloned.
inline constexpr std::string_view no_destination = "find the directory above";

/// Sorts locks by tier, path and name, and removes duplicates; of a lock that is wanted in both
/// modes, the exclusive one stays. They are taken in another order: see order_of.
void sort_and_dedupe(std::vector<Target>& targets);

/// Resolves the targets again, as the file system has them now, without the files that an
/// ancestor has, and drops those that have no files left. Errors: those of resolve; then `at` is the index of the
/// target that could not be resolved, and `targets` has not changed.
Result<void> re_resolve(std::vector<Target>& targets, std::size_t& at);

/// The slots of a workspace that have a file, whatever number of slots the processes that
/// created them used; in ascending order.
struct Slots {
  std::vector<unsigned> numbers;
  std::vector<unsigned> queues;  ///< the numbers N of slots that have a queue file
};

/// `file` must be that of a target of tier semaphore. Errors: those of
/// sys::names_beside_lock_file, except for a missing directory.
Result<Slots> existing_slots(const TargetFile& file);

/// The names of a slot's file, and of the queue file for one of `slots` slots.
sys::LockFileName slot_file(const TargetFile& file, unsigned slot);
sys::LockFileName queue_file(const TargetFile& file, unsigned slots);

/// The name of the lock's gate; nullopt for slots, which have their queue, and if an ancestor
/// has a file of the lock: a process that it waits for must not wait in front of the gate.
std::optional<sys::LockFileName> gate_file(const Target& target);

/// The names of one of a target's files. At tier semaphore, those of all slots that exist,
/// since any of them is the lock; if they can't be listed, those of the target's slots.
std::vector<sys::LockFileName> files_to_inspect(const Target& target, const TargetFile& file);

/// The identities of those of files_to_inspect that exist.
std::vector<sys::FileId> existing_files(const Target& target, const TargetFile& file);

}  // namespace grex::core
