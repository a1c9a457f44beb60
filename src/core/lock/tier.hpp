#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace grex::core {

/// The five kinds of lock, in the order in which they must be taken; the values are
/// grex's ordinals. A process takes a lock only at a tier strictly above every tier that
/// its ancestors hold.
enum class Tier {
  workspace_sync = 0,
  semaphore = 1,
  per_pack = 2,
  backend = 3,
  manifest = 4,
};

inline constexpr std::array<Tier, 5> all_tiers = {Tier::workspace_sync, Tier::semaphore, Tier::per_pack, Tier::backend,
                                                  Tier::manifest};

constexpr int ordinal_of(Tier tier) { return static_cast<int>(tier); }

std::string_view name_of(Tier tier);
std::optional<Tier> tier_named(std::string_view name);

}  // namespace grex::core
