#include "core/layout.hpp"

#include "base/text.hpp"

namespace grex::core {
namespace {

constexpr std::string_view sync_name = ".grex.sync.lock";
constexpr std::string_view slot_prefix = ".grex.slot-";
constexpr std::string_view queue_prefix = ".grex.slot-queue-";
constexpr std::string_view slot_suffix = ".lock";
constexpr std::string_view pack_name = ".grex-lock";
constexpr std::string_view flat_backend_suffix = ".grex-backend.lock";
constexpr std::string_view nested_backend_directory = ".grex/locks/";
constexpr std::string_view nested_backend_suffix = ".backend.lock";
constexpr std::string_view manifest_name = ".grex/.grex.lock";

std::string in_layout(Layout layout, std::string_view name) {
  return (layout == Layout::nested ? ".grex/" : "") + std::string(name);
}

std::string numbered(std::string_view prefix, unsigned number) {
  return std::string(prefix) + std::to_string(number) + std::string(slot_suffix);
}

// The number K of a name PREFIX K .lock.
std::optional<unsigned> number_between(std::string_view prefix, std::string_view name) {
  if (!name.starts_with(prefix) || !name.ends_with(slot_suffix)) return std::nullopt;
  if (name.size() <= prefix.size() + slot_suffix.size()) return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(slot_suffix.size());
  const auto number = parse_number<unsigned>(name);
  // "07" is a number, but nobody's.
  return number && std::to_string(*number) == name ? number : std::nullopt;
}

bool is_longer_and_ends_with(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.ends_with(end);
}

}  // namespace

std::optional<Layouts> layouts_named(std::string_view name) {
  if (name == "flat") return Layouts{Layout::flat};
  if (name == "nested") return Layouts{Layout::nested};
  if (name == "both") return Layouts{Layout::flat, Layout::nested};
  return std::nullopt;
}

Outside lies_outside_target(Tier tier) { return tier == Tier::backend ? Outside::yes : Outside::no; }

std::string lock_name(Layout layout, Tier tier, std::string_view child, unsigned slot) {
  switch (tier) {
    case Tier::workspace_sync:
      return in_layout(layout, sync_name);
    case Tier::semaphore:
      return in_layout(layout, numbered(slot_prefix, slot));
    case Tier::per_pack:
      return in_layout(layout, pack_name);
    case Tier::backend:
      if (layout == Layout::flat) return std::string(child) + std::string(flat_backend_suffix);
      return std::string(nested_backend_directory) + std::string(child) + std::string(nested_backend_suffix);
    case Tier::manifest:
      break;
  }
  return std::string(manifest_name);
}

std::string queue_name(Layout layout, unsigned slots) { return in_layout(layout, numbered(queue_prefix, slots)); }

std::optional<unsigned> slot_number(std::string_view name) { return number_between(slot_prefix, name); }

std::optional<unsigned> queue_number(std::string_view name) { return number_between(queue_prefix, name); }

std::optional<Tier> tier_of_lock_file(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  if (name == sync_name) return Tier::workspace_sync;
  if (slot_number(name)) return Tier::semaphore;
  if (name == pack_name) return Tier::per_pack;
  if (is_longer_and_ends_with(name, flat_backend_suffix)) return Tier::backend;
  const bool among_nested = path.find("/" + std::string(nested_backend_directory)) != std::string_view::npos;
  if (among_nested && is_longer_and_ends_with(name, nested_backend_suffix)) return Tier::backend;
  if (is_longer_and_ends_with(path, "/" + std::string(manifest_name))) return Tier::manifest;
  return std::nullopt;
}

}  // namespace grex::core
