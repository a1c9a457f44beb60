#include "core/layout.hpp"

#include "base/text.hpp"

namespace grex::core {
namespace {

constexpr std::string_view slot_prefix = ".grex.slot-";
constexpr std::string_view slot_suffix = ".lock";

}  // namespace

std::optional<Layout> layout_named(std::string_view name) {
  if (name == "flat") return Layout::flat;
  return std::nullopt;
}

Beside lies_beside_target(Tier tier) { return tier == Tier::backend ? Beside::yes : Beside::no; }

std::string lock_name(Tier tier, std::string_view leaf, unsigned slot) {
  switch (tier) {
    case Tier::workspace_sync:
      return ".grex.sync.lock";
    case Tier::semaphore:
      return std::string(slot_prefix) + std::to_string(slot) + std::string(slot_suffix);
    case Tier::per_pack:
      return ".grex-lock";
    case Tier::backend:
      return std::string(leaf) + ".grex-backend.lock";
    case Tier::manifest:
      break;
  }
  return ".grex/.grex.lock";
}

std::optional<unsigned> slot_number(std::string_view name) {
  if (!name.starts_with(slot_prefix) || !name.ends_with(slot_suffix)) return std::nullopt;
  if (name.size() <= slot_prefix.size() + slot_suffix.size()) return std::nullopt;
  name.remove_prefix(slot_prefix.size());
  name.remove_suffix(slot_suffix.size());
  const auto slot = parse_number<unsigned>(name);
  // "07" is a number, but no slot's.
  return slot && std::to_string(*slot) == name ? slot : std::nullopt;
}

}  // namespace grex::core
