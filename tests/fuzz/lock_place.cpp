// File names, any of which may look like a lock file's.

#include "core/lock/layout.hpp"
#include "fuzz.hpp"

using namespace grex;
using core::Layout;
using core::Tier;
using fuzz::require;

namespace {

// A path has a place only if it has the name of that place's lock file.
void check_path(std::string_view path) {
  const auto place = core::lock_place_of(path);
  const auto tier = core::tier_of_lock_file(path);
  require(!tier || (place && place->tier == *tier));
  if (!place) return;
  require(core::may_be_lock_file(path.substr(path.rfind('/') + 1)) && !place->target.empty());
  require(!place->slot || place->tier == Tier::semaphore);
  if (place->tier == Tier::backend) {
    // Both contain the name of the clone.
    require(!place->target.ends_with('/'));
    return;
  }
  const bool is_queue = place->tier == Tier::semaphore && !place->slot;
  require(tier.has_value() != (is_queue || place->is_old));
  if (is_queue || place->is_old || !path.starts_with('/') || path.find("//") != std::string_view::npos) return;
  const std::string name = core::lock_name(place->layout, place->tier, {}, place->slot.value_or(0));
  require(path_in(place->target, name) == path);
}

// lock_place_of() is the inverse of lock_name() and queue_name().
void check_names(const std::string& target, unsigned number) {
  for (const Layout layout : {Layout::flat, Layout::nested}) {
    for (const Tier tier : core::all_tiers) {
      if (core::is_sibling_lock(tier)) continue;
      const auto place = core::lock_place_of(path_in(target, core::lock_name(layout, tier, {}, number)));
      require(place && place->tier == tier && place->target == target);
      require(place->slot == (tier == Tier::semaphore ? std::optional(number) : std::nullopt));
    }
  }
  const auto queue = core::lock_place_of(path_in(target, core::queue_name(number)));
  require(queue && queue->tier == Tier::semaphore && queue->target == target && !queue->slot);
}

void check_clone(const std::string& child) {
  const auto flat = core::lock_place_of("/ws/" + core::lock_name(Layout::flat, Tier::backend, child, 0));
  require(flat && flat->tier == Tier::backend && flat->target == "/ws/" + child);
  const auto nested = core::lock_place_of("/ws/" + core::lock_name(Layout::nested, Tier::backend, child, 0));
  require(nested && nested->tier == Tier::backend && nested->target == "/ws/" + child);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_path(text);
  unsigned number = 0;
  for (const char c : text) number = number * 256 + static_cast<unsigned char>(c);
  // A directory's name that no layout uses.
  const std::string name = "d" + std::string(text.substr(0, text.find('/')));
  check_names("/ws/" + name, number);
  if (name.find(".lock") == std::string::npos) check_clone(name);
  return 0;
}
