#include "core/cluster/keeper_protocol.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace grex;
using namespace std::chrono_literals;

namespace {

const core::ClusterPlace place = {{"https://h1:2379", "https://h2:2379"}, "ci", 10s};
const core::ClusterLock app = {core::Tier::per_pack, "app", sys::Mode::exclusive, 0, R"({"pid":1})"};

std::string again(const core::KeeperRequest& request) {
  const auto parsed = core::parse_keeper_request(core::to_line(request));
  return parsed ? core::to_line(*parsed) : "not parsed";
}

std::string again(const core::KeeperReport& report) {
  const auto parsed = core::parse_keeper_report(core::to_line(report));
  return parsed ? core::to_line(*parsed) : "not parsed";
}

}  // namespace

TEST_CASE("every request and every report of the keeper's protocol is read as it was written") {
  const std::vector<core::KeeperRequest> requests = {
      core::AcquireRequest{1, place, 30s, core::IfBusy::give_up, {app, app}},
      core::MoreRequest{5s, core::IfBusy::wait, {app}},
      core::AdoptRequest{1, place, 30s, "0123456789abcdef", {{"/k", 7}}},
      core::StartedRequest{41},
      core::CancelRequest{},
      core::ReleaseRequest{},
      core::ListRequest{1, place, {}},
      core::ProbeRequest{1, place, {app}},
      core::WaitRequest{1, place, {{core::Tier::backend, "\xff \n%", sys::Mode::shared, 0, ""}}},
      core::BreakRequest{1, place, {"/k", 7}}};
  for (const auto& request : requests) CHECK(again(request) == core::to_line(request));
  const core::Queue queue = {core::Tier::semaphore, "a/b %\xff", {"one", "two"}};
  const std::vector<core::KeeperReport> reports = {
      core::WaitingReport{queue, 2},
      core::BusyReport{queue},
      core::FreeReport{},
      core::HeldReport{{{"/k", 7}}, "0123456789abcdef", "17", 30s, "a fault"},
      core::LostReport{core::LossReason::deleted, "why"},
      core::ReleasedReport{false},
      core::ListedReport{{{app, {"/k", 7}, 0, 12s}, {app, {"/l", 8}, 1, {}}}, false},
      core::FailedReport{core::ClusterFault::cluster_config, "h1", "why", "hint"}};
  for (const auto& report : reports) CHECK(again(report) == core::to_line(report));
}

TEST_CASE("a message is one line, and unknown keys are ignored") {
  const std::string line = core::to_line(core::KeeperReport(core::FailedReport{{}, "", "two\nlines\xff", ""}));
  CHECK(line.find('\n') == line.size() - 1);
  CHECK(core::parse_keeper_request(R"({"request":"started","pid":41,"later":[{}]})"));
}

TEST_CASE("what is not a message of the keeper's protocol is refused") {
  for (const char* const text :
       {"", "{}", "[]", "nonsense", R"({"request":"started"})", R"({"request":"started","pid":"41"})",
        R"({"request":"started","pid":-1})", R"({"request":"started","pid":4294967296})", R"({"request":"unheard"})",
        R"({"request":7})", R"({"request":"more","timeout_ms":1,"wait":true,"locks":[{}]})",
        R"({"request":"more","timeout_ms":1,"wait":1,"locks":[]})"}) {
    CAPTURE(text);
    CHECK_FALSE(core::parse_keeper_request(text));
  }
  for (const char* const text :
       {R"({"report":"lost","reason":"bored","why":""})", R"({"report":"held"})", R"({"report":"released","ok":1})"}) {
    CAPTURE(text);
    CHECK_FALSE(core::parse_keeper_report(text));
  }
  const std::string deep = R"({"report":"free","x":)" + std::string(100, '[') + std::string(100, ']') + "}";
  CHECK_FALSE(core::parse_keeper_report(deep));
  const std::string padding(core::longest_keeper_line, ' ');
  CHECK_FALSE(core::parse_keeper_report(R"({"report":"free"})" + padding));
}

TEST_CASE("a line that this version can't read names its protocol all the same") {
  CHECK(core::protocol_of(R"({"request":"seize","protocol":2})") == 2);
  CHECK_FALSE(core::protocol_of(R"({"request":"release"})"));
}

TEST_CASE("a queue of many long records is cut to fit a line") {
  core::Queue queue = {core::Tier::per_pack, "app", {}};
  queue.ahead.assign(100, std::string(4096, '"'));
  const std::string line = core::to_line(core::KeeperReport(core::BusyReport{queue}));
  CHECK(core::fits_keeper_line(line));
  const auto report = core::parse_keeper_report(line);
  REQUIRE(report);
  CHECK(std::get<core::BusyReport>(*report).queue.ahead.size() > 3);
}
