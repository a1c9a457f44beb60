#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/lock/tier.hpp"

namespace grex::core {

/// Where grex keeps its lock files: directly in the directories that they guard
/// (grex 1.1.0 to 1.3.1), or in their `.grex/` (grex 1.3.2 and later).
enum class Layout { flat, nested };

std::string_view name_of(Layout layout);

/// The releases of grex that lock a file of this layout: "1.1.0 to 1.3.1".
std::string_view releases_of(Layout layout);

/// The layouts with files to lock: flat first if there are both.
using Layouts = std::vector<Layout>;

/// "flat", "nested" or "both".
std::optional<Layouts> layouts_named(std::string_view name);

/// Whether a lock of this tier has another file in each layout.
bool has_file_per_layout(Tier tier);

/// Whether the lock files of a tier lie beside their target instead of inside it, so that
/// removing the target doesn't remove them.
bool is_sibling_lock(Tier tier);

/// The lock file's name, relative to the target. At tier backend, it is relative to the
/// directory that the clone's destination lies in (flat), or to the meta directory
/// (nested), the nearest one above it that has `.grex/pack.yaml`, and `child` is the
/// destination's path relative to the same directory. `slot` is the slot's number at tier
/// semaphore.
std::string lock_name(Layout layout, Tier tier, std::string_view child, unsigned slot);

/// The name, relative to the workspace, of the queue file for processes that want one of
/// `slots` slots.
std::string queue_name(unsigned slots);

/// The name of the gate of a lock, beside its last file of this name: see gate.hpp.
std::string gate_name(std::string_view lock_name);

/// The name, or path, of the lock of which this is the gate; if it is none, the name itself.
std::string_view lock_of_gate(std::string_view name);

/// The number K of a slot's file name `.grex.slot-K.lock`, without directories.
std::optional<unsigned> slot_number(std::string_view name);

/// The number of slots N of a queue file's name `.grex.slot-queue-N.lock`, without
/// directories.
std::optional<unsigned> queue_number(std::string_view name);

/// What a lock file is for, according to its whole path.
struct LockPlace {
  Tier tier = Tier::per_pack;
  Layout layout = Layout::flat;  ///< flat if the file is the same in both
  std::string target;            ///< what it guards
  std::optional<unsigned> slot;  ///< at tier semaphore, the slot's number; a queue file has none
  /// An earlier release used this name, and no command takes it any more: grex 1.0, or
  /// grex-lock 0.1 for slots and for clones.
  bool is_old = false;
};

/// The inverse of lock_name and queue_name, in any layout, and that of old names; nullopt
/// for any other file.
std::optional<LockPlace> lock_place_of(std::string_view path);

/// Whether a file of this name, without directories, can be a lock file.
bool may_be_lock_file(std::string_view name);

/// The tier of the lock file that a path names, in any layout; nullopt for any other
/// file, also for a queue file and for an old name.
std::optional<Tier> tier_of_lock_file(std::string_view path);

}  // namespace grex::core
