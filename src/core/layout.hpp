#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/tier.hpp"

namespace grex::core {

/// Where grex keeps its lock files; only the layout of grex up to 1.3.1, whose
/// files lie directly in the directories that they guard, is known so far.
enum class Layout { flat };

std::optional<Layout> layout_named(std::string_view name);

/// A lock file's place: beside the target, where a wipe of the target does not
/// reach it, or inside it.
enum class Beside { no, yes };
Beside lies_beside_target(Tier tier);

/// The lock file's name, relative to the target, or to the target's parent
/// where it lies beside it. `leaf` is the target's last component, `slot` the
/// permit's number; each is used where the tier needs it.
std::string lock_name(Tier tier, std::string_view leaf, unsigned slot);

/// The number K of a slot's file name `.grex.slot-K.lock`.
std::optional<unsigned> slot_number(std::string_view name);

}  // namespace grex::core
