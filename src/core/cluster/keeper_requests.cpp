#include <optional>

#include "core/cluster/keeper_json.hpp"
#include "core/cluster/keeper_protocol.hpp"

namespace grex::core {
namespace {

using json = KeeperJson;

json begin_request(std::string_view name) {
  json message;
  message["request"] = name;
  return message;
}

json begin_first(std::string_view name, int protocol, const ClusterPlace& place) {
  json message = begin_request(name);
  message["protocol"] = protocol;
  message["endpoints"] = place.endpoints;
  message["ns"] = place.ns;
  message["timeout_ms"] = place.timeout.count();
  return message;
}

template <class Request>
json about_locks(std::string_view name, const Request& request) {
  json message = begin_first(name, request.protocol, request.place);
  message["locks"] = to_json(request.locks);
  return message;
}

json to_json(const AcquireRequest& request) {
  json message = about_locks("acquire", request);
  message["ttl_ms"] = request.ttl.count();
  message["wait"] = request.if_busy == IfBusy::wait;
  return message;
}

json to_json(const MoreRequest& request) {
  json message = begin_request("more");
  message["timeout_ms"] = request.timeout.count();
  message["wait"] = request.if_busy == IfBusy::wait;
  message["locks"] = to_json(request.locks);
  return message;
}

json to_json(const AdoptRequest& request) {
  json message = begin_first("adopt", request.protocol, request.place);
  message["ttl_ms"] = request.ttl.count();
  message["lease"] = request.lease;
  message["keys"] = to_json(request.keys);
  return message;
}

json to_json(const StartedRequest& request) {
  json message = begin_request("started");
  message["pid"] = request.pid;
  return message;
}

json to_json(const CancelRequest&) { return begin_request("cancel"); }
json to_json(const ReleaseRequest&) { return begin_request("release"); }
json to_json(const ListRequest& request) { return about_locks("list", request); }
json to_json(const ProbeRequest& request) { return about_locks("probe", request); }
json to_json(const WaitRequest& request) { return about_locks("wait", request); }

json to_json(const BreakRequest& request) {
  json message = begin_first("break", request.protocol, request.place);
  message["key"] = request.key.key;
  message["token"] = request.key.token;
  return message;
}

KeeperReader& read_first(KeeperReader& reader, int& protocol, ClusterPlace& place) {
  return reader.read("protocol", protocol)
      .read("endpoints", place.endpoints)
      .read("ns", place.ns)
      .read("timeout_ms", place.timeout);
}

void read_if_busy(KeeperReader& reader, IfBusy& if_busy) {
  bool must_wait = true;
  reader.read("wait", must_wait);
  if_busy = must_wait ? IfBusy::wait : IfBusy::give_up;
}

template <class Request>
void read_about_locks(KeeperReader& reader, Request& request) {
  read_first(reader, request.protocol, request.place).read("locks", request.locks);
}

void read(KeeperReader& reader, AcquireRequest& request) {
  read_about_locks(reader, request);
  reader.read("ttl_ms", request.ttl);
  read_if_busy(reader, request.if_busy);
}

void read(KeeperReader& reader, MoreRequest& request) {
  reader.read("timeout_ms", request.timeout).read("locks", request.locks);
  read_if_busy(reader, request.if_busy);
}

void read(KeeperReader& reader, AdoptRequest& request) {
  read_first(reader, request.protocol, request.place)
      .read("ttl_ms", request.ttl)
      .read("lease", request.lease)
      .read("keys", request.keys);
}

void read(KeeperReader& reader, StartedRequest& request) { reader.read("pid", request.pid); }
void read(KeeperReader&, CancelRequest&) {}
void read(KeeperReader&, ReleaseRequest&) {}
void read(KeeperReader& reader, ListRequest& request) { read_about_locks(reader, request); }
void read(KeeperReader& reader, ProbeRequest& request) { read_about_locks(reader, request); }
void read(KeeperReader& reader, WaitRequest& request) { read_about_locks(reader, request); }

void read(KeeperReader& reader, BreakRequest& request) {
  read_first(reader, request.protocol, request.place).read("key", request.key.key).read("token", request.key.token);
}

template <class Request>
std::optional<KeeperRequest> parse_request(const json& message) {
  Request request;
  KeeperReader reader(message);
  read(reader, request);
  return reader.is_valid() ? std::optional<KeeperRequest>(std::move(request)) : std::nullopt;
}

}  // namespace

std::string to_line(const KeeperRequest& request) {
  return keeper_line(std::visit([](const auto& each) { return to_json(each); }, request));
}

std::optional<KeeperRequest> parse_keeper_request(std::string_view line) {
  const auto message = parse_keeper_line(line);
  if (!message) return std::nullopt;
  std::string name;
  if (!KeeperReader(*message).read("request", name).is_valid()) return std::nullopt;
  if (name == "acquire") return parse_request<AcquireRequest>(*message);
  if (name == "more") return parse_request<MoreRequest>(*message);
  if (name == "adopt") return parse_request<AdoptRequest>(*message);
  if (name == "started") return parse_request<StartedRequest>(*message);
  if (name == "cancel") return parse_request<CancelRequest>(*message);
  if (name == "release") return parse_request<ReleaseRequest>(*message);
  if (name == "list") return parse_request<ListRequest>(*message);
  if (name == "probe") return parse_request<ProbeRequest>(*message);
  if (name == "wait") return parse_request<WaitRequest>(*message);
  if (name == "break") return parse_request<BreakRequest>(*message);
  return std::nullopt;
}

std::optional<int> protocol_of(std::string_view line) {
  const auto message = parse_keeper_line(line);
  int protocol = 0;
  if (!message || !KeeperReader(*message).read("protocol", protocol).is_valid()) return std::nullopt;
  return protocol;
}

}  // namespace grex::core
