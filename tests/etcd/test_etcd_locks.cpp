// Locks in a real etcd.

#include <doctest/doctest.h>
#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/boot_clock.hpp"
#include "etcd/due.hpp"
#include "etcd/etcd_client.hpp"

using namespace grex;
using test::EtcdClient;
using test::EtcdServer;
using test::lock_named;

TEST_CASE("a lock is one key with the lease and the record, and releasing it removes the key") {
  const EtcdServer server;
  EtcdClient client;
  const auto held = client.acquire(server.place(), {lock_named("a/b %", R"({"pid":41})")});
  REQUIRE(held.keys.size() == 1);
  const std::string key = "/grex-lock/ci/per-pack/a%2Fb%20%25/x/" + held.lease;
  CHECK(held.keys.front().key == key);
  CHECK(server.keys() == std::vector<std::string>{key});
  CHECK(server.ctl({"get", "--print-value-only", key}) == "{\"pid\":41}\n");
  CHECK(held.caveat.starts_with("etcd 3."));
  CHECK(client.deadline() > boot_clock_now());
  CHECK(client.release());
  CHECK(server.keys().empty());
}

TEST_CASE("a second process waits behind the first, sees its record, and gets a larger token") {
  const EtcdServer server;
  EtcdClient first;
  const auto held = first.acquire(server.place(), {lock_named("app", "first")});
  EtcdClient second;
  second.request(server.place(), {lock_named("app", "second")});
  const auto waiting = second.expect<core::WaitingReport>();
  CHECK(waiting.queue.ahead == std::vector<std::string>{"first"});
  CHECK(waiting.queue.name == "app");
  CHECK(waiting.position == 1);
  EtcdClient third;
  third.request(server.place(), {lock_named("app")});
  const auto behind = third.expect<core::WaitingReport>();
  CHECK(behind.queue.ahead == std::vector<std::string>{"first"});
  CHECK(behind.position == 2);

  CHECK(first.release());
  CHECK(second.expect<core::HeldReport>().keys.front().token > held.keys.front().token);
  CHECK(second.release());
  core::KeeperReport report = third.next();
  while (std::holds_alternative<core::WaitingReport>(report)) report = third.next();
  CHECK(std::holds_alternative<core::HeldReport>(report));
}

TEST_CASE("names that contain one another are different locks") {
  const EtcdServer server;
  EtcdClient first;
  EtcdClient second;
  first.acquire(server.place(), {lock_named("a")});
  second.acquire(server.place(), {lock_named("a/b"), lock_named("\xc3\xa4"), lock_named("\xff%")});
  CHECK(server.keys().size() == 4);
}

TEST_CASE("several locks have one lease, and more can be taken with it") {
  const EtcdServer server;
  EtcdClient client;
  const auto two = client.acquire(server.place(), {lock_named("a"), lock_named("b")});
  CHECK(two.keys.size() == 2);
  client.send(core::MoreRequest{std::chrono::seconds(10), core::IfBusy::wait, {lock_named("c")}});
  const auto one = client.expect<core::HeldReport>();
  CHECK(one.keys.size() == 1);
  CHECK(one.lease == two.lease);
  CHECK(server.keys().size() == 3);
  CHECK(client.release());
  CHECK(server.keys().empty());
}

TEST_CASE("a busy lock that may not be waited for leaves nothing behind, and keeps the locks from before") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("a", "first")});
  EtcdClient second;
  second.request(server.place(), {lock_named("b"), lock_named("a")}, core::IfBusy::give_up);
  CHECK(second.expect<core::BusyReport>().queue.ahead == std::vector<std::string>{"first"});
  CHECK(server.keys().size() == 1);
  second.acquire(server.place(), {lock_named("b")});
  second.send(core::MoreRequest{std::chrono::seconds(10), core::IfBusy::give_up, {lock_named("a")}});
  CHECK(second.expect<core::BusyReport>().queue.name == "a");
  CHECK(server.keys().size() == 2);
}

TEST_CASE("a wait that is cancelled leaves no key") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("a")});
  EtcdClient second;
  second.request(server.place(), {lock_named("a")});
  second.expect<core::WaitingReport>();
  CHECK(server.keys().size() == 2);
  second.send(core::CancelRequest{});
  CHECK(second.expect<core::ReleasedReport>().ok);
  CHECK(server.keys().size() == 1);
}

TEST_CASE("the lock of a grex-lock that is killed goes to the next process at once") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("a")});
  first.run("exec sleep 1000");
  EtcdClient second;
  second.request(server.place(), {lock_named("a")});
  second.expect<core::WaitingReport>();
  const auto start = boot_clock_now();
  first.kill_caller();
  second.expect<core::HeldReport>();
  first.wait_for_keeper();
  MESSAGE("handed over after ", (boot_clock_now() - start) / 1'000'000, " ms");
}

TEST_CASE("a lock is kept for longer than its lease") {
  const EtcdServer server;
  EtcdClient client;
  client.acquire(server.place(), {lock_named("a")});
  const std::uint64_t first_deadline = client.deadline();
  // The lease must run out, were it not renewed.
  test::until([&] { return boot_clock_now() > first_deadline; });
  CHECK(client.deadline() > boot_clock_now());
  CHECK(server.keys().size() == 1);
  CHECK(client.release());
}

TEST_CASE("a lock is kept as long, and no longer, if the wall clock is an hour ahead") {
  const test::Setup ahead = {.environment = {{"LD_PRELOAD", CLOCK_AHEAD}}};
  const auto shown = test::finish({"date", "+%s"}, ahead);
  REQUIRE(std::stol(shown.out) > ::time(nullptr) + 3500);
  const EtcdServer server;
  EtcdClient client(ahead);
  client.acquire(server.place(), {lock_named("a")});
  const std::uint64_t first_deadline = client.deadline();
  CHECK(first_deadline > boot_clock_now());
  CHECK(first_deadline <= boot_clock_now() + etcd::in_ns(EtcdClient::short_lease));
  test::until([&] { return client.deadline() > first_deadline; });
  CHECK(client.deadline() <= boot_clock_now() + etcd::in_ns(EtcdClient::short_lease));
  EtcdClient other;
  other.request(server.place(), {lock_named("a")});
  other.expect<core::WaitingReport>();
  CHECK(client.release());
  other.expect<core::HeldReport>();
  CHECK(other.release());
}

TEST_CASE("a probe and a wait make nothing, and see whether a lock is free") {
  const EtcdServer server;
  EtcdClient holder;
  holder.acquire(server.place(), {lock_named("a", "holder")});
  EtcdClient asker;
  asker.send(core::ProbeRequest{1, server.place(), {lock_named("b")}});
  asker.expect<core::FreeReport>();
  asker.send(core::ProbeRequest{1, server.place(), {lock_named("b"), lock_named("a")}});
  CHECK(asker.expect<core::BusyReport>().queue.ahead == std::vector<std::string>{"holder"});
  asker.send(core::WaitRequest{1, server.place(), {lock_named("a"), lock_named("b")}});
  CHECK(asker.expect<core::WaitingReport>().queue.name == "a");
  CHECK(server.keys().size() == 1);
  CHECK(holder.release());
  asker.expect<core::FreeReport>();
}

TEST_CASE("sharers hold a lock together, and exclude an exclusive holder") {
  const EtcdServer server;
  core::ClusterLock shared = lock_named("a", "sharer");
  shared.mode = sys::Mode::shared;
  EtcdClient first;
  EtcdClient second;
  first.acquire(server.place(), {shared});
  second.acquire(server.place(), {shared});
  EtcdClient writer;
  writer.request(server.place(), {lock_named("a", "writer")});
  const auto waiting = writer.expect<core::WaitingReport>();
  CHECK(waiting.position == 1);
  CHECK(waiting.queue.ahead.size() == 2);
  EtcdClient late;
  late.request(server.place(), {shared});
  CHECK(late.expect<core::WaitingReport>().position == 2);
  CHECK(second.release());
  CHECK(first.release());
  core::KeeperReport report = writer.next();
  while (std::holds_alternative<core::WaitingReport>(report)) report = writer.next();
  CHECK(std::holds_alternative<core::HeldReport>(report));
}

TEST_CASE("as many processes hold a lock as it has slots") {
  const EtcdServer server;
  core::ClusterLock slot = {core::Tier::semaphore, "s", sys::Mode::exclusive, 2, "{}"};
  EtcdClient first;
  EtcdClient second;
  first.acquire(server.place(), {slot});
  second.acquire(server.place(), {slot});
  EtcdClient third;
  third.request(server.place(), {slot});
  CHECK(third.expect<core::WaitingReport>().position == 1);
  CHECK(first.release());
  core::KeeperReport report = third.next();
  while (std::holds_alternative<core::WaitingReport>(report)) report = third.next();
  CHECK(std::holds_alternative<core::HeldReport>(report));
}

TEST_CASE("of many processes that want a lock, one at a time has it, and their tokens rise") {
  const EtcdServer server;
  std::vector<std::unique_ptr<EtcdClient>> clients;
  for (int i = 0; i < 30; ++i) {
    clients.push_back(std::make_unique<EtcdClient>());
    clients.back()->request(server.place(), {lock_named("a")});
  }
  std::uint64_t last_token = 0;
  std::vector<bool> is_done(clients.size());
  for (std::size_t done = 0; done < clients.size(); ++done) {
    std::vector<std::size_t> holders;
    while (holders.empty()) {
      for (std::size_t i = 0; i < clients.size(); ++i) {
        const auto held = is_done[i] ? std::nullopt : clients[i]->held_by_now();
        if (!held) continue;
        holders.push_back(i);
        CHECK(held->keys.front().token > last_token);
        last_token = held->keys.front().token;
      }
    }
    REQUIRE(holders.size() == 1);
    // No other one has it while this one does not release it.
    for (std::size_t i = 0; i < clients.size(); ++i) {
      if (!is_done[i] && i != holders.front()) CHECK_FALSE(clients[i]->held_by_now());
    }
    CHECK(clients[holders.front()]->release());
    is_done[holders.front()] = true;
  }
}

TEST_CASE("a wait for one more lock that is cancelled leaves the locks from before") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("b", "first")});
  EtcdClient second;
  second.acquire(server.place(), {lock_named("a")});
  second.send(core::MoreRequest{std::chrono::seconds(10), core::IfBusy::wait, {lock_named("b")}});
  second.expect<core::WaitingReport>();
  CHECK(server.keys().size() == 3);
  second.send(core::CancelRequest{});
  CHECK(second.expect<core::ReleasedReport>().ok);
  CHECK(server.keys().size() == 2);
  CHECK(second.release());
  CHECK(server.keys().size() == 1);
}

TEST_CASE("a grex-lock that is killed while it waits for one more lock releases all") {
  const EtcdServer server;
  EtcdClient first;
  first.acquire(server.place(), {lock_named("b", "first")});
  EtcdClient second;
  second.acquire(server.place(), {lock_named("a")});
  second.send(core::MoreRequest{std::chrono::seconds(10), core::IfBusy::wait, {lock_named("b")}});
  second.expect<core::WaitingReport>();
  second.kill_caller();
  second.wait_for_keeper();
  CHECK(server.keys().size() == 1);
}
