#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"

namespace grex::core {

using KeeperJson = nlohmann::ordered_json;

/// The JSON of a message, as one line.
std::string keeper_line(const KeeperJson& message);

/// The object on a line; nullopt if it is too long or no object.
std::optional<KeeperJson> parse_keeper_line(std::string_view line);

KeeperJson to_json(const ClusterLock& lock);
KeeperJson to_json(const HeldKey& key);
template <class T>
KeeperJson to_json(const std::vector<T>& items) {
  KeeperJson array = KeeperJson::array();
  for (const T& item : items) array.push_back(to_json(item));
  return array;
}

/// Reads the members of an object one by one. Once one is missing or of the wrong type,
/// `is_valid` is false.
class KeeperReader {
 public:
  explicit KeeperReader(const KeeperJson& object) : object_(object), valid_(object.is_object()) {}

  [[nodiscard]] bool is_valid() const { return valid_; }

  KeeperReader& read(const char* key, std::string& value);
  KeeperReader& read(const char* key, bool& value);
  KeeperReader& read(const char* key, std::chrono::milliseconds& value);
  KeeperReader& read(const char* key, Tier& value);
  KeeperReader& read(const char* key, sys::Mode& value);
  KeeperReader& read(const char* key, ClusterLock& value);
  KeeperReader& read(const char* key, HeldKey& value);

  /// The name of a lock, which may be any bytes, so it is percent-encoded.
  KeeperReader& read_lock_name(const char* key, std::string& value);

  template <class Number>
  requires std::is_integral_v<Number> KeeperReader& read(const char* key, Number& value) {
    const KeeperJson* const found = find(key);
    const bool fits = found != nullptr && found->is_number_unsigned() &&
                      found->get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<Number>::max());
    if (fits) value = found->get<Number>();
    return expect(fits);
  }

  template <class T>
  KeeperReader& read(const char* key, std::vector<T>& values) {
    const KeeperJson* const found = find(key);
    if (!expect(found != nullptr && found->is_array()).valid_) return *this;
    for (const KeeperJson& item : *found) {
      T value{};
      if (!expect(read_item(item, value)).valid_) return *this;
      values.push_back(std::move(value));
    }
    return *this;
  }

  /// What may be missing, or null.
  template <class T>
  KeeperReader& read(const char* key, std::optional<T>& value) {
    const auto found = object_.is_object() ? object_.find(key) : object_.end();
    if (found == object_.end() || found->is_null()) return *this;
    return read(key, value.emplace());
  }

  /// One of several names; `named` gives the value of a name, or nullopt.
  template <class Value, class Named>
  KeeperReader& read_name(const char* key, Value& value, Named named) {
    std::string name;
    read(key, name);
    const auto found = named(name);
    if (found) value = *found;
    return expect(found.has_value());
  }

 private:
  [[nodiscard]] const KeeperJson* find(const char* key) const;
  KeeperReader& expect(bool holds) {
    valid_ = valid_ && holds;
    return *this;
  }
  static bool read_item(const KeeperJson& item, std::string& value);
  static bool read_item(const KeeperJson& item, ClusterLock& value);
  static bool read_item(const KeeperJson& item, HeldKey& value);
  static bool read_item(const KeeperJson& item, ListedLock& value);

  const KeeperJson& object_;
  bool valid_;
};

}  // namespace grex::core
