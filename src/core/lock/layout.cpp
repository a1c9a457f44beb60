#include "core/lock/layout.hpp"

#include "base/text.hpp"

namespace grex::core {
namespace {

constexpr std::string_view sync_name = ".grex.sync.lock";
constexpr std::string_view slot_prefix = ".grex.slot-";
constexpr std::string_view queue_prefix = ".grex.slot-queue-";
constexpr std::string_view slot_suffix = ".lock";
constexpr std::string_view gate_suffix = ".gate";
constexpr std::string_view pack_name = ".grex-lock";
constexpr std::string_view flat_backend_prefix = ".grex-backend-";
constexpr std::string_view old_backend_suffix = ".grex-backend.lock";
constexpr std::string_view old_sync_directory = "/.grex/workspace";
constexpr std::string_view nested_backend_directory = ".grex/locks/";
constexpr std::string_view nested_backend_suffix = ".backend.lock";
constexpr std::string_view manifest_name = ".grex/.grex.lock";

std::string nested(std::string_view name) { return ".grex/" + std::string(name); }

std::string in_layout(Layout layout, std::string_view name) {
  return layout == Layout::nested ? nested(name) : std::string(name);
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
  // "07" is a number, but no file is named so.
  return number && std::to_string(*number) == name ? number : std::nullopt;
}

constexpr std::string_view nested_directory = "/.grex";

// The path without this end; nullopt if it has another end, or nothing before it.
std::optional<std::string_view> without_end(std::string_view path, std::string_view end) {
  if (path.size() <= end.size() || !path.ends_with(end)) return std::nullopt;
  return path.substr(0, path.size() - end.size());
}

std::string root_if_empty(std::string_view directory) { return directory.empty() ? "/" : std::string(directory); }

// The place of a lock file inside the directory that it guards, or in its `.grex/`.
LockPlace contained_place(Tier tier, std::string_view directory) {
  if (!directory.ends_with(nested_directory)) return {tier, Layout::flat, root_if_empty(directory), {}};
  return {tier, Layout::nested, root_if_empty(directory.substr(0, directory.size() - nested_directory.size())), {}};
}

// That of a slot or a queue. Only those of grex-lock 0.1 lie outside of `.grex/`.
LockPlace slot_place(std::optional<unsigned> slot, std::string_view directory) {
  LockPlace place = contained_place(Tier::semaphore, directory);
  place.is_old = place.layout == Layout::flat;
  place.layout = Layout::flat;
  place.slot = slot;
  return place;
}

// The name NAME of a clone in `.grex-backend-NAME.lock`, or in NAME.grex-backend.lock of
// grex-lock 0.1; empty for any other name.
struct CloneName {
  std::string_view name;
  bool is_old = false;
};

CloneName clone_name(std::string_view file) {
  const bool is_one = file.starts_with(flat_backend_prefix) && file.ends_with(slot_suffix);
  if (is_one && file.size() > flat_backend_prefix.size() + slot_suffix.size()) {
    file.remove_prefix(flat_backend_prefix.size());
    file.remove_suffix(slot_suffix.size());
    return {file};
  }
  return {without_end(file, old_backend_suffix).value_or(""), true};
}

// The place of a clone's lock file, which lies outside the clone.
std::optional<LockPlace> sibling_place(std::string_view path) {
  const auto slash = path.rfind('/') + 1;  // npos + 1 is 0
  if (const auto [name, is_old] = clone_name(path.substr(slash)); !name.empty()) {
    return LockPlace{Tier::backend, Layout::flat, std::string(path.substr(0, slash)).append(name), {}, is_old};
  }
  const std::string locks = "/" + std::string(nested_backend_directory);
  const auto directory = path.rfind(locks);
  if (directory == std::string_view::npos) return std::nullopt;
  const auto child = without_end(path.substr(directory + locks.size()), nested_backend_suffix);
  if (!child || child->ends_with('/')) return std::nullopt;
  return LockPlace{
      Tier::backend, Layout::nested, std::string(path.substr(0, directory)).append("/").append(*child), {}};
}

}  // namespace

std::optional<Layouts> layouts_named(std::string_view name) {
  if (name == "flat") return Layouts{Layout::flat};
  if (name == "nested") return Layouts{Layout::nested};
  if (name == "both") return Layouts{Layout::flat, Layout::nested};
  return std::nullopt;
}

std::string_view name_of(Layout layout) { return layout == Layout::flat ? "flat" : "nested"; }

std::string_view releases_of(Layout layout) { return layout == Layout::flat ? "1.1.0 to 1.3.1" : "1.3.2 and later"; }

bool has_file_per_layout(Tier tier) { return tier != Tier::semaphore && tier != Tier::manifest; }

bool is_sibling_lock(Tier tier) { return tier == Tier::backend; }

std::string lock_name(Layout layout, Tier tier, std::string_view child, unsigned slot) {
  switch (tier) {
    case Tier::workspace_sync:
      return in_layout(layout, sync_name);
    case Tier::semaphore:
      return nested(numbered(slot_prefix, slot));
    case Tier::per_pack:
      return in_layout(layout, pack_name);
    case Tier::backend:
      if (layout == Layout::flat) {
        return std::string(flat_backend_prefix) + std::string(child) + std::string(slot_suffix);
      }
      return std::string(nested_backend_directory) + std::string(child) + std::string(nested_backend_suffix);
    case Tier::manifest:
      break;
  }
  return std::string(manifest_name);
}

std::string queue_name(unsigned slots) { return nested(numbered(queue_prefix, slots)); }

std::string gate_name(std::string_view lock_name) { return std::string(lock_name).append(gate_suffix); }

std::string_view lock_of_gate(std::string_view name) {
  if (name.ends_with(gate_suffix)) name.remove_suffix(gate_suffix.size());
  return name;
}

std::optional<unsigned> slot_number(std::string_view name) { return number_between(slot_prefix, name); }

std::optional<unsigned> queue_number(std::string_view name) { return number_between(queue_prefix, name); }

std::optional<LockPlace> lock_place_of(std::string_view path) {
  const auto slash = path.rfind('/');
  const std::string_view directory = slash == std::string_view::npos ? "" : path.substr(0, slash);
  const std::string_view name = path.substr(slash + 1);  // npos + 1 is 0
  if (name == sync_name && directory.ends_with(old_sync_directory)) {
    const std::string_view target = directory.substr(0, directory.size() - old_sync_directory.size());
    return LockPlace{Tier::workspace_sync, Layout::flat, root_if_empty(target), {}, true};
  }
  if (name == sync_name) return contained_place(Tier::workspace_sync, directory);
  if (name == pack_name) return contained_place(Tier::per_pack, directory);
  if (const auto slot = slot_number(name); slot || queue_number(name)) return slot_place(slot, directory);
  const std::string manifest = "/" + std::string(manifest_name);
  if (path.ends_with(manifest)) {
    return LockPlace{Tier::manifest, Layout::flat, root_if_empty(path.substr(0, path.size() - manifest.size())), {}};
  }
  return sibling_place(path);
}

bool may_be_lock_file(std::string_view name) { return name.ends_with(slot_suffix) || name == pack_name; }

std::optional<Tier> tier_of_lock_file(std::string_view path) {
  const auto place = lock_place_of(path);
  const bool is_queue = place && place->tier == Tier::semaphore && !place->slot;
  return place && !is_queue && !place->is_old ? std::optional(place->tier) : std::nullopt;
}

}  // namespace grex::core
