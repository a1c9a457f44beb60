#include "core/lock/tier.hpp"

namespace grex::core {
namespace {

constexpr std::array<std::string_view, 5> names = {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"};

}  // namespace

std::string_view name_of(Tier tier) { return names.at(static_cast<std::size_t>(tier)); }

std::optional<Tier> tier_named(std::string_view name) {
  for (const Tier tier : all_tiers) {
    if (name_of(tier) == name) return tier;
  }
  return std::nullopt;
}

}  // namespace grex::core
