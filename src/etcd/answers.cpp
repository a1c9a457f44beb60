#include <limits>

#include "etcd/message_json.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {
namespace {

using std::chrono::seconds;

// No lease lasts longer, so that times in nanoseconds don't overflow.
constexpr std::int64_t longest_ttl = 1'000'000'000;

std::optional<seconds> ttl_in(const json& object, const char* key) {
  const auto ttl = number_in(object, key);
  return ttl && *ttl <= longest_ttl && *ttl >= -longest_ttl ? std::optional(seconds(*ttl)) : std::nullopt;
}

// What a stream sends is in `result`.
const json& result_of(const json& object) {
  const json& result = member(object, "result");
  return result.is_null() ? object : result;
}

const json& first_response(const json& object) {
  const json& responses = member(object, "responses");
  return responses.is_array() && !responses.empty() ? responses.front() : member(json(), "");
}

}  // namespace

std::optional<std::string> parse_token(std::string_view body) {
  const auto object = parse_object(body);
  auto token = object ? text_in(*object, "token") : std::nullopt;
  // It becomes a line of a header.
  const bool is_one_line = token && !token->empty() && token->find_first_of("\r\n") == std::string::npos;
  return is_one_line ? token : std::nullopt;
}

std::optional<std::string> parse_version(std::string_view body) {
  const auto object = parse_object(body);
  auto version = object ? text_in(*object, "etcdserver") : std::nullopt;
  return version && !version->empty() ? version : std::nullopt;
}

std::optional<Granted> parse_granted(std::string_view body) {
  const auto object = parse_object(body);
  const auto lease = object ? number_in(*object, "ID") : std::nullopt;
  const auto ttl = object ? ttl_in(*object, "TTL") : std::nullopt;
  if (!lease || *lease == 0 || !ttl || *ttl <= seconds(0)) return std::nullopt;
  return Granted{static_cast<std::uint64_t>(*lease), *ttl};
}

std::optional<Renewed> parse_renewed(std::string_view body) {
  const auto object = parse_object(body);
  if (!object) return std::nullopt;
  const json& result = result_of(*object);
  auto header = header_in(result);
  const auto ttl = ttl_in(result, "TTL");
  if (!header || !ttl) return std::nullopt;
  return Renewed{std::move(*header), *ttl};
}

std::optional<LeaseTime> parse_lease_time(std::string_view body) {
  const auto object = parse_object(body);
  const auto left = object ? ttl_in(*object, "TTL") : std::nullopt;
  const auto granted = object ? ttl_in(*object, "grantedTTL") : std::nullopt;
  return left && granted ? std::optional(LeaseTime{*left, *granted}) : std::nullopt;
}

std::optional<Created> parse_created(std::string_view body) {
  const auto object = parse_object(body);
  auto header = object ? header_in(*object) : std::nullopt;
  if (!header) return std::nullopt;
  Created created;
  created.header = std::move(*header);
  if (is_set(*object, "succeeded")) {
    created.kv.create_revision = created.header.revision;
    return created;
  }
  auto kvs = key_values_in(member(first_response(*object), "response_range"));
  if (!kvs || kvs->size() != 1) return std::nullopt;
  created.kv = std::move(kvs->front());
  return created;
}

std::optional<Range> parse_range(std::string_view body) {
  const auto object = parse_object(body);
  auto header = object ? header_in(*object) : std::nullopt;
  auto kvs = object ? key_values_in(*object) : std::nullopt;
  if (!header || !kvs) return std::nullopt;
  return Range{std::move(*header), std::move(*kvs), is_set(*object, "more")};
}

std::optional<Range> parse_read_all(std::string_view body) {
  const auto object = parse_object(body);
  auto header = object ? header_in(*object) : std::nullopt;
  if (!header || !is_set(*object, "succeeded")) return std::nullopt;
  Range all{std::move(*header), {}, false};
  for (const json& response : member(*object, "responses")) {
    auto kvs = key_values_in(member(response, "response_range"));
    if (!kvs) return std::nullopt;
    for (KeyValue& kv : *kvs) all.kvs.push_back(std::move(kv));
  }
  return all;
}

std::optional<Changed> parse_changed(std::string_view body) {
  const auto object = parse_object(body);
  auto header = object ? header_in(*object) : std::nullopt;
  return header ? std::optional(Changed{std::move(*header), is_set(*object, "succeeded")}) : std::nullopt;
}

std::optional<WatchMessage> parse_watch_message(std::string_view line) {
  const auto object = parse_object(line);
  if (!object) return std::nullopt;
  const json& result = member(*object, "result");
  WatchMessage message;
  message.has_ended = !result.is_object() || is_set(result, "canceled");
  const json& events = member(result, "events");
  if (!events.is_null() && !events.is_array()) return std::nullopt;
  for (const json& event : events) {
    const auto type = text_in(event, "type");
    auto kv = parse_key_value(member(event, "kv"));
    if (!type || !kv) return std::nullopt;
    message.events.push_back({*type == "DELETE", std::move(*kv)});
  }
  return message;
}

std::optional<GatewayError> parse_error(std::string_view body) {
  const auto object = parse_object(body);
  if (!object) return std::nullopt;
  const json& nested = member(*object, "error");
  const json& error = nested.is_object() ? nested : *object;
  const char* const code_key = error.contains("grpc_code") ? "grpc_code" : "code";
  const json& code = member(error, code_key);
  auto message = text_in(error, error.contains("message") ? "message" : "error");
  if (!code.is_number_integer() || !message) return std::nullopt;
  constexpr std::string_view origin = "etcdserver: ";
  if (message->starts_with(origin)) message->erase(0, origin.size());
  constexpr std::int64_t last_code = 16;
  const auto number = code.get<std::int64_t>();
  return GatewayError{number < 0 || number > last_code ? 2 : static_cast<int>(number), std::move(*message)};
}

}  // namespace grex::etcd
