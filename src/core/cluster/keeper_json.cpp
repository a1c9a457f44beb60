#include "core/cluster/keeper_json.hpp"

#include <algorithm>

#include "core/cluster/percent.hpp"

namespace grex::core {

std::string keeper_line(const KeeperJson& message) {
  return message.dump(-1, ' ', false, KeeperJson::error_handler_t::replace) + '\n';
}

std::optional<KeeperJson> parse_keeper_line(std::string_view line) {
  // An object in an object in a list in an object: more is not needed, and costs stack.
  constexpr int deepest = 8;
  if (line.size() > longest_keeper_line) return std::nullopt;
  bool is_too_deep = false;
  const auto check_depth = [&](int depth, KeeperJson::parse_event_t, KeeperJson&) {
    is_too_deep = is_too_deep || depth > deepest;
    return !is_too_deep;
  };
  KeeperJson message = KeeperJson::parse(line, check_depth, /*allow_exceptions=*/false);
  if (is_too_deep || !message.is_object()) return std::nullopt;
  return message;
}

KeeperJson to_json(const ClusterLock& lock) {
  KeeperJson object;
  object["tier"] = name_of(lock.tier);
  object["name"] = percent_encoded(lock.name);
  object["mode"] = sys::name_of(lock.mode);
  object["slots"] = lock.slots;
  object["value"] = lock.value;
  return object;
}

KeeperJson to_json(const HeldKey& key) {
  KeeperJson object;
  object["key"] = key.key;
  object["token"] = key.token;
  return object;
}

const KeeperJson* KeeperReader::find(const char* key) const {
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

KeeperReader& KeeperReader::read(const char* key, std::string& value) {
  const KeeperJson* const found = find(key);
  return expect(found != nullptr && read_item(*found, value));
}

KeeperReader& KeeperReader::read(const char* key, bool& value) {
  const KeeperJson* const found = find(key);
  const bool is_bool = found != nullptr && found->is_boolean();
  if (is_bool) value = found->get<bool>();
  return expect(is_bool);
}

KeeperReader& KeeperReader::read(const char* key, std::chrono::milliseconds& value) {
  constexpr std::uint64_t longest = 100ULL * 366 * 24 * 60 * 60 * 1000;  // a century
  std::uint64_t count = 0;
  read(key, count);
  value = std::chrono::milliseconds(std::min(count, longest));
  return *this;
}

KeeperReader& KeeperReader::read(const char* key, Tier& value) { return read_name(key, value, tier_named); }

KeeperReader& KeeperReader::read(const char* key, sys::Mode& value) { return read_name(key, value, sys::mode_named); }

KeeperReader& KeeperReader::read_lock_name(const char* key, std::string& value) {
  return read_name(key, value, percent_decoded);
}

KeeperReader& KeeperReader::read(const char* key, ClusterLock& value) {
  const KeeperJson* const found = find(key);
  return expect(found != nullptr && read_item(*found, value));
}

KeeperReader& KeeperReader::read(const char* key, HeldKey& value) {
  const KeeperJson* const found = find(key);
  return expect(found != nullptr && read_item(*found, value));
}

bool KeeperReader::read_item(const KeeperJson& item, std::string& value) {
  if (!item.is_string()) return false;
  value = item.get<std::string>();
  return true;
}

bool KeeperReader::read_item(const KeeperJson& item, ClusterLock& value) {
  return KeeperReader(item)
      .read("tier", value.tier)
      .read_lock_name("name", value.name)
      .read("mode", value.mode)
      .read("slots", value.slots)
      .read("value", value.value)
      .is_valid();
}

bool KeeperReader::read_item(const KeeperJson& item, HeldKey& value) {
  return KeeperReader(item).read("key", value.key).read("token", value.token).is_valid();
}

bool KeeperReader::read_item(const KeeperJson& item, ListedLock& value) {
  return KeeperReader(item)
      .read("lock", value.lock)
      .read("key", value.key)
      .read("position", value.position)
      .read("lease_ms", value.lease_left)
      .is_valid();
}

}  // namespace grex::core
