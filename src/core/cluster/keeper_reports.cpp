#include <algorithm>
#include <array>
#include <optional>

#include "core/cluster/keeper_json.hpp"
#include "core/cluster/keeper_protocol.hpp"
#include "core/cluster/percent.hpp"

namespace grex::core {
namespace {

using json = KeeperJson;

constexpr std::array<std::string_view, 4> loss_names = {"unanswered", "asked", "expired", "deleted"};
constexpr std::array<std::string_view, 4> fault_names = {"unreachable", "permission", "cluster-config", "internal"};

template <class Value>
std::optional<Value> named_in(const std::array<std::string_view, 4>& names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Value>(found - names.begin());
}

json begin_report(std::string_view name) {
  json message;
  message["report"] = name;
  return message;
}

void add_queue(json& message, const Queue& queue) {
  message["tier"] = name_of(queue.tier);
  message["name"] = percent_encoded(queue.name);
  message["ahead"] = json::array();
  constexpr std::size_t room_for_others = 4096;  // with the longest name, however it is escaped
  std::size_t room = longest_keeper_line - room_for_others;
  for (const std::string& value : queue.ahead) {
    const std::size_t size = keeper_line(json(value)).size() + 1;
    if (size > room) return;
    room -= size;
    message["ahead"].push_back(value);
  }
}

json to_json(const WaitingReport& report) {
  json message = begin_report("waiting");
  message["position"] = report.position;
  add_queue(message, report.queue);
  return message;
}

json to_json(const BusyReport& report) {
  json message = begin_report("busy");
  add_queue(message, report.queue);
  return message;
}

json to_json(const FreeReport&) { return begin_report("free"); }

json to_json(const HeldReport& report) {
  json message = begin_report("held");
  message["locks"] = to_json(report.keys);
  message["lease"] = report.lease;
  message["cluster"] = report.cluster;
  message["ttl_ms"] = report.ttl.count();
  message["caveat"] = report.caveat;
  return message;
}

json to_json(const LostReport& report) {
  json message = begin_report("lost");
  message["reason"] = name_of(report.reason);
  message["why"] = report.why;
  return message;
}

json to_json(const ReleasedReport& report) {
  json message = begin_report("released");
  message["ok"] = report.ok;
  message["responded"] = report.responded;
  return message;
}

json to_json(const ListedReport& report) {
  json message = begin_report("listed");
  message["locks"] = json::array();
  for (const ListedLock& listed : report.locks) {
    json item;
    item["lock"] = to_json(listed.lock);
    item["key"] = to_json(listed.key);
    item["position"] = listed.position;
    item["lease_ms"] = listed.lease_left ? json(listed.lease_left->count()) : json();
    message["locks"].push_back(std::move(item));
  }
  message["last"] = report.is_last;
  return message;
}

json to_json(const FailedReport& report) {
  json message = begin_report("failed");
  message["kind"] = name_of(report.kind);
  message["endpoint"] = report.endpoint;
  message["why"] = report.why;
  message["hint"] = report.hint;
  return message;
}

void read(KeeperReader& reader, Queue& queue) {
  reader.read("tier", queue.tier).read_lock_name("name", queue.name).read("ahead", queue.ahead);
}

void read(KeeperReader& reader, WaitingReport& report) {
  read(reader, report.queue);
  reader.read("position", report.position);
}

void read(KeeperReader& reader, BusyReport& report) { read(reader, report.queue); }
void read(KeeperReader&, FreeReport&) {}

void read(KeeperReader& reader, HeldReport& report) {
  reader.read("locks", report.keys)
      .read("lease", report.lease)
      .read("cluster", report.cluster)
      .read("ttl_ms", report.ttl)
      .read("caveat", report.caveat);
}

void read(KeeperReader& reader, LostReport& report) {
  const auto named = [](std::string_view name) { return named_in<LossReason>(loss_names, name); };
  reader.read_name("reason", report.reason, named).read("why", report.why);
}

void read(KeeperReader& reader, ReleasedReport& report) {
  reader.read("ok", report.ok).read("responded", report.responded);
}

void read(KeeperReader& reader, ListedReport& report) {
  reader.read("locks", report.locks).read("last", report.is_last);
}

void read(KeeperReader& reader, FailedReport& report) {
  const auto named = [](std::string_view name) { return named_in<ClusterFault>(fault_names, name); };
  reader.read_name("kind", report.kind, named)
      .read("endpoint", report.endpoint)
      .read("why", report.why)
      .read("hint", report.hint);
}

template <class Report>
std::optional<KeeperReport> parse_report(const json& message) {
  Report report;
  KeeperReader reader(message);
  read(reader, report);
  return reader.is_valid() ? std::optional<KeeperReport>(std::move(report)) : std::nullopt;
}

}  // namespace

std::string_view name_of(LossReason reason) { return loss_names.at(static_cast<std::size_t>(reason)); }
std::string_view name_of(ClusterFault fault) { return fault_names.at(static_cast<std::size_t>(fault)); }

std::string to_line(const KeeperReport& report) {
  return keeper_line(std::visit([](const auto& each) { return to_json(each); }, report));
}

std::optional<KeeperReport> parse_keeper_report(std::string_view line) {
  const auto message = parse_keeper_line(line);
  if (!message) return std::nullopt;
  std::string name;
  if (!KeeperReader(*message).read("report", name).is_valid()) return std::nullopt;
  if (name == "waiting") return parse_report<WaitingReport>(*message);
  if (name == "busy") return parse_report<BusyReport>(*message);
  if (name == "free") return parse_report<FreeReport>(*message);
  if (name == "held") return parse_report<HeldReport>(*message);
  if (name == "lost") return parse_report<LostReport>(*message);
  if (name == "released") return parse_report<ReleasedReport>(*message);
  if (name == "listed") return parse_report<ListedReport>(*message);
  if (name == "failed") return parse_report<FailedReport>(*message);
  return std::nullopt;
}

}  // namespace grex::core
