// What a server, an administrator or another process may do to a lock in etcd.

#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "base/boot_clock.hpp"
#include "etcd/etcd_client.hpp"

using namespace grex;
using namespace std::chrono_literals;
using test::EtcdClient;
using test::EtcdServer;
using test::lock_named;

namespace {

constexpr std::uint64_t second = 1'000'000'000;

core::HeldReport acquire_for(EtcdClient& client, const core::ClusterPlace& place, std::chrono::seconds lease) {
  client.send(core::AcquireRequest{1, place, lease, core::IfBusy::wait, {lock_named("a")}});
  return client.expect<core::HeldReport>();
}

// Waits until a renewal has failed: with a lease of 10 s, one is due after a third.
void wait_for_failed_renewal(const EtcdClient& client) {
  test::until([&] { return boot_clock_now() > client.deadline() - 6 * second; });
}

void wait_for_renewal(const EtcdClient& client) {
  const std::uint64_t deadline = client.deadline();
  test::until([&] { return client.deadline() > deadline; });
}

core::HeldReport held_after_waiting(EtcdClient& client) {
  core::KeeperReport report = client.next();
  while (std::holds_alternative<core::WaitingReport>(report)) report = client.next();
  const auto* const held = std::get_if<core::HeldReport>(&report);
  if (held == nullptr) throw std::runtime_error("another report: " + core::to_line(report));
  return *held;
}

std::string revision_of(const EtcdServer& server) {
  const std::string status = server.ctl({"endpoint", "status", "--write-out", "json"});
  const auto at = status.find("\"revision\":") + 11;
  return status.substr(at, status.find(',', at) - at);
}

}  // namespace

// The next two must let part of a lease of ten seconds pass.
TEST_CASE("a server that is stopped for less than the lease costs nothing") {
  const EtcdServer server;
  EtcdClient client;
  acquire_for(client, server.place(), 10s);
  server.stop();
  wait_for_failed_renewal(client);
  server.go_on();
  wait_for_renewal(client);
  CHECK(client.release());
}

TEST_CASE("a server that is restarted within the lease costs nothing") {
  EtcdServer server;
  EtcdClient client;
  const auto held = acquire_for(client, server.place(), 10s);
  server.restart();
  wait_for_renewal(client);
  CHECK(server.keys() == std::vector<std::string>{held.keys.front().key});
  CHECK(client.release());
}

// The lease must run out.
TEST_CASE("a server that is stopped for longer than the lease loses the lock, and the command is killed before") {
  const EtcdServer server;
  EtcdClient client;
  acquire_for(client, server.place(), 10s);
  const pid_t command = client.run("trap '' TERM; while :; do sleep 1000; done");
  server.stop();
  const auto lost = client.expect<core::LostReport>();
  CHECK(lost.reason == core::LossReason::unanswered);
  CHECK(lost.why.find("no answer") != std::string::npos);
  test::until([command] { return !test::process_exists(command); });
  CHECK(boot_clock_now() < client.deadline());
  server.go_on();
}

TEST_CASE("a lock whose lease is revoked, or whose key is deleted, is lost at once") {
  const EtcdServer server;
  EtcdClient client;
  const auto held = acquire_for(client, server.place(), 600s);
  const pid_t command = client.run("trap '' TERM; while :; do sleep 1000; done");
  SUBCASE("revoked") { (void)server.ctl({"lease", "revoke", held.lease}); }
  SUBCASE("deleted") { (void)server.ctl({"del", held.keys.front().key}); }
  CHECK(client.expect<core::LostReport>().reason == core::LossReason::deleted);
  test::until([command] { return !test::process_exists(command); });
}

TEST_CASE("a waiter that loses its key queues again, and gets the lock") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("a", "first")});
  EtcdClient second;
  second.request(server.place(), {lock_named("a")});
  second.expect<core::WaitingReport>();
  const std::string key = server.keys().back();
  REQUIRE(server.keys().size() == 2);
  SUBCASE("its lease is revoked") { (void)server.ctl({"lease", "revoke", key.substr(key.rfind('/') + 1)}); }
  SUBCASE("its key is deleted") { (void)server.ctl({"del", key}); }
  second.expect<core::WaitingReport>();
  CHECK(first.release());
  held_after_waiting(second);
}

TEST_CASE("compaction does not disturb a wait") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("a", "first")});
  (void)server.ctl({"compaction", revision_of(server), "--physical"});
  EtcdClient second;
  second.request(server.place(), {lock_named("a")});
  second.expect<core::WaitingReport>();
  (void)server.ctl({"put", "other", "1"});
  (void)server.ctl({"compaction", revision_of(server), "--physical"});
  CHECK(first.release());
  held_after_waiting(second);
  (void)server.ctl({"put", "other", "2"});
  (void)server.ctl({"compaction", revision_of(server), "--physical"});
  wait_for_renewal(second);
  CHECK(second.release());
}

TEST_CASE("another keeper adopts the lock of one that was killed, with its token") {
  const EtcdServer server;
  EtcdClient first;
  const auto held = acquire_for(first, server.place(), 10s);
  ::kill(first.keeper(), SIGKILL);
  test::KeeperClient second(test::keeper_program(), {}, first);
  second.send(core::AdoptRequest{1, server.place(), held.ttl, held.lease, held.keys});
  const auto adopted = second.expect<core::HeldReport>();
  CHECK(adopted.keys.front().token == held.keys.front().token);
  CHECK(adopted.cluster == held.cluster);
  second.send(core::ReleaseRequest{});
  CHECK(second.expect<core::ReleasedReport>().ok);
  CHECK(server.keys().empty());
}

TEST_CASE("a lock that is gone can't be adopted") {
  const EtcdServer server;
  EtcdClient first;
  auto held = acquire_for(first, server.place(), 10s);
  ::kill(first.keeper(), SIGKILL);
  test::KeeperClient second(test::keeper_program(), {}, first);
  auto reason = core::LossReason::expired;
  SUBCASE("its lease has ended") { (void)server.ctl({"lease", "revoke", held.lease}); }
  SUBCASE("its key has another token") {
    ++held.keys.front().token;
    reason = core::LossReason::deleted;
  }
  second.send(core::AdoptRequest{1, server.place(), held.ttl, held.lease, held.keys});
  CHECK(second.expect<core::LostReport>().reason == reason);
}

TEST_CASE("a cluster of which no server answers is unreachable") {
  core::ClusterPlace place = {{}, "ci", 500ms};
  for (int i = 0; i < 2; ++i) place.endpoints.push_back("http://127.0.0.1:" + std::to_string(test::free_port()));
  EtcdClient client;
  client.request(place, {lock_named("a")});
  const auto failed = client.expect<core::FailedReport>();
  CHECK(failed.kind == core::ClusterFault::unreachable);
  const auto first = failed.why.find("connection refused; 127.0.0.1:");
  CHECK(first != std::string::npos);
  CHECK(failed.why.find("connection refused", first + 1) != std::string::npos);
}

TEST_CASE("the servers that answer are enough, whichever is asked first") {
  const EtcdServer server;
  core::ClusterPlace place = server.place();
  place.endpoints.push_back("http://127.0.0.1:" + std::to_string(test::free_port()));
  EtcdClient first;
  first.acquire(place, {lock_named("a")});
  std::swap(place.endpoints[0], place.endpoints[1]);
  EtcdClient second;
  second.acquire(place, {lock_named("b")});
  CHECK(second.release());
}

TEST_CASE("a server without a gateway, or another program, is not usable") {
  const EtcdServer server({"--enable-grpc-gateway=false"});
  EtcdClient client;
  client.request(server.place(), {lock_named("a")});
  const auto failed = client.expect<core::FailedReport>();
  CHECK(failed.kind == core::ClusterFault::cluster_config);
  CHECK(failed.why == "no /v3 gateway");
}

TEST_CASE("a holder that is asked to release its lock says so, and the lock is free when it has") {
  const EtcdServer server;
  EtcdClient holder;
  const auto held = acquire_for(holder, server.place(), 600s);
  EtcdClient breaker;
  core::HeldKey key = held.keys.front();
  ++key.token;
  breaker.send(core::BreakRequest{1, server.place(), key});
  CHECK_FALSE(breaker.expect<core::ReleasedReport>().ok);
  --key.token;
  breaker.send(core::BreakRequest{1, server.place(), key});
  CHECK(holder.expect<core::LostReport>().reason == core::LossReason::asked);
  CHECK(server.keys().size() == 1);
  CHECK(holder.release());
  CHECK(breaker.expect<core::ReleasedReport>().ok);
}

// A lease must run out.
TEST_CASE("a holder whose keeper does not work loses its key after one lease") {
  const EtcdServer server;
  EtcdClient holder;
  const auto held = acquire_for(holder, server.place(), 4s);
  ::kill(holder.keeper(), SIGSTOP);
  EtcdClient breaker;
  breaker.send(core::BreakRequest{1, server.place(), held.keys.front()});
  const auto released = breaker.expect<core::ReleasedReport>();
  CHECK(released.ok);
  CHECK(server.keys().empty());
  ::kill(holder.keeper(), SIGCONT);
}

TEST_CASE("all holders and waiters of a namespace can be listed") {
  const EtcdServer server;
  EtcdClient first;
  const auto held = acquire_for(first, server.place(), 600s);
  EtcdClient second;
  second.request(server.place(), {lock_named("a", "second")});
  second.expect<core::WaitingReport>();
  EtcdClient other;
  other.acquire(server.place(), {lock_named("b")});
  EtcdClient asker;
  asker.send(core::ListRequest{1, server.place(), {}});
  const auto all = asker.expect<core::ListedReport>();
  REQUIRE(all.locks.size() == 3);
  CHECK(all.locks[0].key.token == held.keys.front().token);
  CHECK(all.locks[0].position == 0);
  REQUIRE(all.locks[0].lease_left);
  CHECK(*all.locks[0].lease_left > 500s);
  CHECK(all.locks[1].position == 1);
  CHECK(all.locks[1].lock.value == "second");
  CHECK(all.locks[2].lock.name == "b");
  asker.send(core::ListRequest{1, server.place(), {lock_named("b"), lock_named("none")}});
  CHECK(asker.expect<core::ListedReport>().locks.size() == 1);
}
