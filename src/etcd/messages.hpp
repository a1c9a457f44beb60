#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace grex::etcd {

/// The bodies of requests to etcd's JSON gateway and of its answers (rpc.proto of etcd 3.4 to
/// 3.6). Keys and values are bytes here. A parse function gives nullopt for what is no such
/// answer; the servers are trusted, but not what a proxy or another program may send.

struct Header {
  std::uint64_t revision = 0;
  std::uint64_t raft_term = 0;
  std::string cluster;
};

struct KeyValue {
  std::string key;
  std::string value;
  std::uint64_t create_revision = 0;
  std::uint64_t lease = 0;
};

std::string authenticate_body(std::string_view user, std::string_view password);
std::optional<std::string> parse_token(std::string_view body);

/// The version of the server, "3.4.23".
std::optional<std::string> parse_version(std::string_view body);

std::string grant_body(std::chrono::seconds ttl);
struct Granted {
  std::uint64_t lease = 0;
  std::chrono::seconds ttl{0};
};
std::optional<Granted> parse_granted(std::string_view body);

/// Also for revoking it, and for asking how long it lasts.
std::string lease_body(std::uint64_t lease);
struct Renewed {
  Header header;
  std::chrono::seconds ttl{0};  ///< 0: the lease is dead
};
std::optional<Renewed> parse_renewed(std::string_view body);
struct LeaseTime {
  std::chrono::seconds left{0};  ///< below 0: the lease is dead
  std::chrono::seconds granted{0};
};
std::optional<LeaseTime> parse_lease_time(std::string_view body);

/// Creates a key, or reads it if it exists.
std::string create_body(std::string_view key, std::string_view value, std::uint64_t lease);
struct Created {
  Header header;
  KeyValue kv;  ///< the value only if it existed
};
std::optional<Created> parse_created(std::string_view body);

enum class RangeOrder { any, oldest_first, newest_first };
struct RangeSpec {
  std::string key;
  std::string end = {};  ///< empty: only the key
  std::uint64_t max_create_revision = 0;
  RangeOrder order = RangeOrder::any;
  std::uint64_t limit = 0;
  bool keys_only = false;
};
std::string range_body(const RangeSpec& range);
struct Range {
  Header header;
  std::vector<KeyValue> kvs;
  bool has_more = false;
};
std::optional<Range> parse_range(std::string_view body);

/// Reads keys at the same revision; of those that exist, the values come in any order.
std::string read_all_body(std::span<const std::string> keys);
std::optional<Range> parse_read_all(std::string_view body);

/// Replaces the value of a key that has this create_revision; its lease stays.
std::string replace_body(std::string_view key, std::uint64_t create_revision, std::string_view value);
/// Deletes a key that has this create_revision; 0: any.
std::string delete_body(std::string_view key, std::uint64_t create_revision);
struct Changed {
  Header header;
  bool is_changed = false;
};
std::optional<Changed> parse_changed(std::string_view body);

enum class Puts { ignored, watched };
struct WatchSpec {
  std::string key;
  std::string end = {};
  Puts puts = Puts::ignored;
};
/// Watches several keys in one stream.
std::string watch_body(std::span<const WatchSpec> watches, std::uint64_t start_revision);
struct WatchEvent {
  bool is_delete = false;
  KeyValue kv;
};
struct WatchMessage {
  bool has_ended = false;  ///< canceled, or an error: no more events will come
  std::vector<WatchEvent> events;
};
/// One line of the stream.
std::optional<WatchMessage> parse_watch_message(std::string_view line);

/// An error of the gateway, with a code of gRPC.
struct GatewayError {
  int code = 0;
  std::string message;  ///< without "etcdserver: "
};
std::optional<GatewayError> parse_error(std::string_view body);

/// The value of a key with the mark by which another process asks its holder to release it.
std::string with_break_mark(std::string_view value);
bool has_break_mark(std::string_view value);

/// How many slots the record of a holder names; 0 if it names none.
unsigned slots_in(std::string_view value);

}  // namespace grex::etcd
