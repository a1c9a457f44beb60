#include <algorithm>
#include <string>

#include "etcd/base64.hpp"
#include "etcd/message_json.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {
namespace {

std::string dump(const json& body) { return body.dump(-1, ' ', false, json::error_handler_t::replace); }

// The gateway's numbers of 64 bits are signed, as lease IDs are.
std::string text_of(std::uint64_t number) { return std::to_string(static_cast<std::int64_t>(number)); }

json created_at(std::string_view key, std::uint64_t create_revision) {
  json compare = {{"key", to_base64(key)}, {"target", "CREATE"}, {"result", "EQUAL"}};
  if (create_revision != 0) compare["create_revision"] = text_of(create_revision);
  return json::array({compare});
}

json to_json(const RangeSpec& range) {
  json body = {{"key", to_base64(range.key)}};
  if (!range.end.empty()) body["range_end"] = to_base64(range.end);
  if (range.max_create_revision != 0) body["max_create_revision"] = text_of(range.max_create_revision);
  if (range.order != RangeOrder::any) {
    body["sort_target"] = "CREATE";
    body["sort_order"] = range.order == RangeOrder::oldest_first ? "ASCEND" : "DESCEND";
  }
  if (range.limit != 0) body["limit"] = text_of(range.limit);
  if (range.keys_only) body["keys_only"] = true;
  return body;
}

}  // namespace

std::string authenticate_body(std::string_view user, std::string_view password) {
  return dump({{"name", user}, {"password", password}});
}

std::string grant_body(std::chrono::seconds ttl) { return dump({{"TTL", std::to_string(ttl.count())}}); }

std::string lease_body(std::uint64_t lease) { return dump({{"ID", text_of(lease)}}); }

std::string create_body(std::string_view key, std::string_view value, std::uint64_t lease) {
  const json put = {{"key", to_base64(key)}, {"value", to_base64(value)}, {"lease", text_of(lease)}};
  return dump({{"compare", created_at(key, 0)},
               {"success", json::array({{{"requestPut", put}}})},
               {"failure", json::array({{{"requestRange", {{"key", to_base64(key)}}}}})}});
}

std::string range_body(const RangeSpec& range) { return dump(to_json(range)); }

std::string read_all_body(std::span<const std::string> keys) {
  json reads = json::array();
  for (const std::string& key : keys) reads.push_back({{"requestRange", {{"key", to_base64(key)}}}});
  return dump({{"success", reads}});
}

std::string replace_body(std::string_view key, std::uint64_t create_revision, std::string_view value) {
  const json put = {{"key", to_base64(key)}, {"value", to_base64(value)}, {"ignore_lease", true}};
  return dump({{"compare", created_at(key, create_revision)}, {"success", json::array({{{"requestPut", put}}})}});
}

std::string delete_body(std::string_view key, std::uint64_t create_revision) {
  const json removal = {{"key", to_base64(key)}};
  json body = {{"success", json::array({{{"requestDeleteRange", removal}}})}};
  if (create_revision != 0) body["compare"] = created_at(key, create_revision);
  return dump(body);
}

// The gateway reads one request after the other from the body.
std::string watch_body(std::span<const WatchSpec> watches, std::uint64_t start_revision) {
  std::string body;
  for (const WatchSpec& watch : watches) {
    json request = {{"key", to_base64(watch.key)}, {"start_revision", text_of(start_revision)}};
    if (!watch.end.empty()) request["range_end"] = to_base64(watch.end);
    if (watch.puts == Puts::ignored) request["filters"] = json::array({"NOPUT"});
    body += dump({{"create_request", request}}) + '\n';
  }
  return body;
}

std::string with_break_mark(std::string_view value) {
  json record = parse_object(value).value_or(json::object());
  record["break"] = true;
  return dump(record);
}

bool has_break_mark(std::string_view value) {
  const auto record = parse_object(value);
  return record && is_set(*record, "break");
}

unsigned slots_in(std::string_view value) {
  const auto record = parse_object(value);
  const json& slots = record ? member(*record, "slots") : member(json(), "");
  constexpr unsigned most = 4096;
  return slots.is_number_unsigned() ? static_cast<unsigned>(std::min<std::uint64_t>(slots.get<std::uint64_t>(), most))
                                    : 0;
}

}  // namespace grex::etcd
