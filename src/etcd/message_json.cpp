#include "etcd/message_json.hpp"

#include "base/text.hpp"
#include "etcd/base64.hpp"

namespace grex::etcd {

std::optional<json> parse_object(std::string_view text) {
  constexpr int deepest = 16;
  bool is_too_deep = false;
  const auto check_depth = [&](int depth, json::parse_event_t, json&) {
    is_too_deep = is_too_deep || depth > deepest;
    return !is_too_deep;
  };
  json object = json::parse(text, check_depth, /*allow_exceptions=*/false);
  return !is_too_deep && object.is_object() ? std::optional(std::move(object)) : std::nullopt;
}

const json& member(const json& object, const char* key) {
  static const json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::optional<std::int64_t> number_in(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_null()) return 0;
  return value.is_string() ? parse_number<std::int64_t>(value.get_ref<const std::string&>()) : std::nullopt;
}

std::optional<std::uint64_t> unsigned_in(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_null()) return 0;
  return value.is_string() ? parse_number<std::uint64_t>(value.get_ref<const std::string&>()) : std::nullopt;
}

std::optional<std::string> text_in(const json& object, const char* key) {
  const json& value = member(object, key);
  if (value.is_null()) return std::string();
  return value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
}

std::optional<std::string> bytes_in(const json& object, const char* key) {
  const auto text = text_in(object, key);
  return text ? from_base64(*text) : std::nullopt;
}

bool is_set(const json& object, const char* key) {
  const json& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::optional<Header> header_in(const json& object) {
  const json& header = member(object, "header");
  const auto revision = unsigned_in(header, "revision");
  const auto term = unsigned_in(header, "raft_term");
  const auto cluster = unsigned_in(header, "cluster_id");
  if (!header.is_object() || !revision || !term || !cluster) return std::nullopt;
  return Header{*revision, *term, std::to_string(*cluster)};
}

std::optional<KeyValue> parse_key_value(const json& object) {
  auto key = bytes_in(object, "key");
  auto value = bytes_in(object, "value");
  const auto created = unsigned_in(object, "create_revision");
  const auto lease = number_in(object, "lease");
  if (!object.is_object() || !key || !value || !created || !lease) return std::nullopt;
  return KeyValue{std::move(*key), std::move(*value), *created, static_cast<std::uint64_t>(*lease)};
}

std::optional<std::vector<KeyValue>> key_values_in(const json& object) {
  std::vector<KeyValue> kvs;
  const json& list = member(object, "kvs");
  if (!list.is_null() && !list.is_array()) return std::nullopt;
  for (const json& item : list) {
    auto kv = parse_key_value(item);
    if (!kv) return std::nullopt;
    kvs.push_back(std::move(*kv));
  }
  return kvs;
}

}  // namespace grex::etcd
