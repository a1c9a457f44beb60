#include "etcd/messages.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "etcd/base64.hpp"

using namespace grex;
using nlohmann::json;
using namespace std::chrono_literals;

TEST_CASE("bytes survive base64, and nothing else is read as base64") {
  for (const std::string bytes : {"", "a", "ab", "abc", "abcd", "\xff\xfe\xfd", "/grex-lock/ci/"}) {
    CHECK(etcd::from_base64(etcd::to_base64(bytes)) == bytes);
  }
  CHECK(etcd::to_base64("light w") == "bGlnaHQgdw==");
  for (const char* const text :
       {"b", "bG", "bGl", "bGln=", "b===", "bGlnaHQgdw", "bGlnaHQgdx==", "bG n", "====", "bGlnaHQgdw==bGln"}) {
    CAPTURE(text);
    CHECK_FALSE(etcd::from_base64(text));
  }
}

TEST_CASE("requests have keys in base64, 64-bit numbers as texts, and neither zeros nor false") {
  const json created = json::parse(etcd::create_body("k", "v", 0xffffffffffffffff));
  CHECK(created["compare"][0] == json({{"key", "aw=="}, {"target", "CREATE"}, {"result", "EQUAL"}}));
  CHECK(created["success"][0]["requestPut"] == json({{"key", "aw=="}, {"value", "dg=="}, {"lease", "-1"}}));
  CHECK(created["failure"][0]["requestRange"] == json({{"key", "aw=="}}));
  CHECK(json::parse(etcd::range_body({"k"})) == json({{"key", "aw=="}}));
  etcd::RangeSpec range = {"k", "l", 7, etcd::RangeOrder::newest_first, 1, true};
  CHECK(json::parse(etcd::range_body(range)) == json({{"key", "aw=="},
                                                      {"range_end", "bA=="},
                                                      {"max_create_revision", "7"},
                                                      {"sort_target", "CREATE"},
                                                      {"sort_order", "DESCEND"},
                                                      {"limit", "1"},
                                                      {"keys_only", true}}));
  CHECK(json::parse(etcd::grant_body(30s)) == json({{"TTL", "30"}}));
  const std::vector<etcd::WatchSpec> watches = {{"k"}, {"l", "m", etcd::Puts::watched}};
  const std::string body = etcd::watch_body(watches, 9);
  const json first = json::parse(body.substr(0, body.find('\n')));
  CHECK(first["create_request"] == json({{"key", "aw=="}, {"start_revision", "9"}, {"filters", {"NOPUT"}}}));
  CHECK(json::parse(body.substr(body.find('\n')))["create_request"]["range_end"] == "bQ==");
}

TEST_CASE("answers of etcd are understood") {
  const std::string header = R"("header":{"cluster_id":"14841639068965178418","revision":"12","raft_term":"3"})";
  const auto renewed = etcd::parse_renewed(R"({"result":{)" + header + R"(,"ID":"7","TTL":"30"}})");
  REQUIRE(renewed);
  CHECK(renewed->header.cluster == "14841639068965178418");
  CHECK(renewed->header.raft_term == 3);
  CHECK(renewed->ttl == 30s);
  CHECK(etcd::parse_renewed(R"({"result":{)" + header + R"(,"ID":"7"}})")->ttl == 0s);
  const auto created = etcd::parse_created("{" + header + R"(,"succeeded":true,"responses":[{"response_put":{}}]})");
  CHECK(created->kv.create_revision == 12);
  const std::string kv =
      R"({"key":"aw==","create_revision":"5","mod_revision":"5","version":"1","value":"dg==","lease":"-1"})";
  const auto existed = etcd::parse_created("{" + header + R"(,"responses":[{"response_range":{"kvs":[)" + kv + "]}}]}");
  CHECK(existed->kv.create_revision == 5);
  CHECK(existed->kv.lease == 0xffffffffffffffff);
  const auto range = etcd::parse_range("{" + header + R"(,"kvs":[)" + kv + R"(],"more":true,"count":"2"})");
  CHECK(range->kvs.front().value == "v");
  CHECK(range->has_more);
  CHECK(etcd::parse_range("{" + header + "}")->kvs.empty());
  CHECK(etcd::parse_granted(R"({"ID":"7587876","TTL":"30"})")->lease == 7587876);
}

TEST_CASE("events, the end of a watch and errors are understood") {
  const auto event = etcd::parse_watch_message(R"({"result":{"events":[{"type":"DELETE","kv":{"key":"aw=="}}]}})");
  REQUIRE(event);
  CHECK(event->events.front().is_delete);
  CHECK(event->events.front().kv.key == "k");
  CHECK_FALSE(etcd::parse_watch_message(R"({"result":{"created":true}})")->has_ended);
  CHECK(etcd::parse_watch_message(R"({"result":{"canceled":true,"compact_revision":"9"}})")->has_ended);
  CHECK(etcd::parse_watch_message(R"({"error":{"grpc_code":14,"message":"no leader"}})")->has_ended);
  const auto error =
      etcd::parse_error(R"({"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14})");
  CHECK(error->code == 14);
  CHECK(error->message == "no leader");
  CHECK(etcd::parse_error(R"({"code":5,"message":"etcdserver: requested lease not found","details":[]})")->code == 5);
  CHECK_FALSE(etcd::parse_error("404 page not found"));
}

TEST_CASE("what is not an answer of etcd is refused") {
  for (const char* const text :
       {"", "null", "[]", "{}", R"({"header":7})", R"({"header":{"revision":12}})", R"({"header":{"revision":"x"}})",
        R"({"header":{},"kvs":7})", R"({"header":{},"kvs":[7]})", R"({"header":{},"kvs":[{"key":"?"}]})"}) {
    CAPTURE(text);
    CHECK_FALSE(etcd::parse_range(text));
    CHECK_FALSE(etcd::parse_created(text));
    CHECK_FALSE(etcd::parse_granted(text));
    CHECK_FALSE(etcd::parse_token(text));
  }
  CHECK_FALSE(etcd::parse_token(R"({"token":"a\r\nHost: elsewhere"})"));
  CHECK_FALSE(etcd::parse_granted(R"({"ID":"7","TTL":"-1"})"));
}

TEST_CASE("a record can be marked so that its holder gives the lock up") {
  const std::string marked = etcd::with_break_mark(R"({"pid":41,"slots":3})");
  CHECK(etcd::has_break_mark(marked));
  CHECK(json::parse(marked)["pid"] == 41);
  CHECK(etcd::has_break_mark(etcd::with_break_mark("not JSON")));
  CHECK_FALSE(etcd::has_break_mark(R"({"pid":41})"));
  CHECK_FALSE(etcd::has_break_mark("break"));
  CHECK(etcd::slots_in(marked) == 3);
  CHECK(etcd::slots_in("{}") == 0);
}
