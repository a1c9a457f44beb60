// Answers that are lost, and clusters of several nodes.

#include <doctest/doctest.h>
#include <signal.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/boot_clock.hpp"
#include "etcd/etcd_client.hpp"
#include "etcd/etcd_cluster.hpp"
#include "etcd/proxy.hpp"

using namespace grex;
using namespace std::chrono_literals;
using test::EtcdClient;
using test::EtcdCluster;
using test::EtcdServer;
using test::lock_named;
using test::Proxy;

namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

core::HeldReport held_after_waiting(EtcdClient& client) {
  core::KeeperReport report = client.next();
  while (std::holds_alternative<core::WaitingReport>(report)) report = client.next();
  const auto* const held = std::get_if<core::HeldReport>(&report);
  if (held == nullptr) throw std::runtime_error("another report: " + core::to_line(report));
  return *held;
}

void wait_for_renewal(const EtcdClient& client) {
  const std::uint64_t deadline = client.deadline();
  test::until([&] { return client.deadline() > deadline; });
}

core::HeldReport acquire_for(EtcdClient& client, const core::ClusterPlace& place, std::chrono::seconds lease) {
  client.send(core::AcquireRequest{1, place, lease, core::IfBusy::wait, {lock_named("a")}});
  return client.expect<core::HeldReport>();
}

}  // namespace

TEST_CASE("if the answer to the put of a key is lost, the lock is taken once, with that key") {
  const EtcdServer server;
  std::atomic<bool> is_dropped = false;
  const Proxy proxy(server.port(), [&](const std::string& request, std::string&) {
    return !has(request, "/v3/kv/txn") || is_dropped.exchange(true);
  });
  core::ClusterPlace place = server.place();
  place.endpoints = {proxy.endpoint()};
  EtcdClient client;
  const auto held = client.acquire(place, {lock_named("a")});
  CHECK(is_dropped);
  CHECK(server.keys() == std::vector<std::string>{held.keys.front().key});
  CHECK(client.release());
}

TEST_CASE("if the answer to a grant is lost, the lock is taken with another lease") {
  const EtcdServer server;
  std::atomic<bool> is_dropped = false;
  const Proxy proxy(server.port(), [&](const std::string& request, std::string&) {
    return !has(request, "/v3/lease/grant") || is_dropped.exchange(true);
  });
  core::ClusterPlace place = server.place();
  place.endpoints = {proxy.endpoint()};
  EtcdClient client;
  client.acquire(place, {lock_named("a")});
  CHECK(client.release());
}

// The waiter looks again when it has renewed its lease.
TEST_CASE("a waiter whose watch loses the release gets the lock all the same") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("a", "first")});
  std::atomic<bool> has_swallowed = false;
  bool is_silent = false;
  SUBCASE("the connection ends") {}
  SUBCASE("nothing comes any more") { is_silent = true; }
  const Proxy proxy(server.port(), [&](const std::string&, std::string& answer) {
    if (!has(answer, R"("type":"DELETE")")) return true;
    has_swallowed = true;
    answer.clear();
    return is_silent;
  });
  core::ClusterPlace place = server.place();
  place.endpoints = {proxy.endpoint()};
  EtcdClient second;
  second.request(place, {lock_named("a")});
  second.expect<core::WaitingReport>();
  CHECK(first.release());
  held_after_waiting(second);
  CHECK(has_swallowed);
}

// Elections take a second or two.
TEST_CASE("a lock survives the end of the leader, and of a follower") {
  EtcdCluster cluster;
  EtcdClient client;
  const auto held = acquire_for(client, cluster.place(), 12s);
  SUBCASE("the leader") { cluster.kill(cluster.leader()); }
  SUBCASE("a follower") { cluster.kill((cluster.leader() + 1) % 3); }
  EtcdClient waiter;
  waiter.request(cluster.place(), {lock_named("a")});
  waiter.expect<core::WaitingReport>();
  wait_for_renewal(client);
  CHECK(client.release());
  CHECK(held_after_waiting(waiter).keys.front().token > held.keys.front().token);
  CHECK(waiter.release());
}

TEST_CASE("a leader that is stopped costs nothing") {
  EtcdCluster cluster;
  EtcdClient client;
  acquire_for(client, cluster.place(), 12s);
  const std::size_t leader = cluster.leader();
  cluster.stop(leader);
  wait_for_renewal(client);
  cluster.go_on(leader);
  wait_for_renewal(client);
  CHECK(client.release());
}

TEST_CASE("a node without a majority gives no lock, and loses those that were asked through it") {
  EtcdCluster cluster;
  EtcdClient client;
  core::ClusterPlace place = cluster.place();
  place.timeout = 3s;
  acquire_for(client, place, 6s);
  cluster.kill(0);
  cluster.kill(1);
  CHECK(client.expect<core::LostReport>().reason == core::LossReason::unanswered);
  EtcdClient other;
  other.request(place, {lock_named("b")});
  const auto failed = other.expect<core::FailedReport>();
  CHECK(failed.kind == core::ClusterFault::unreachable);
  MESSAGE(failed.why);
}
