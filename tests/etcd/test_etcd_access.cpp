// Users, passwords and certificates.

#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "etcd/etcd_client.hpp"

using namespace grex;
using namespace std::chrono_literals;
using test::EtcdClient;
using test::EtcdServer;
using test::lock_named;
using test::require_users;

namespace {

core::FailedReport failure_of(EtcdClient& client, core::ClusterPlace place) {
  place.timeout = 1s;
  client.request(place, {lock_named("a")});
  return client.expect<core::FailedReport>();
}

}  // namespace

TEST_CASE("a user with a password and a role for the namespace gets locks; no other one does") {
  const EtcdServer server;
  require_users(server);
  EtcdClient client(test::as_etcd_user("ci", "hush"));
  client.acquire(server.place(), {lock_named("a")});
  EtcdClient in_one_variable(test::as_etcd_user("ci:hush", ""));
  in_one_variable.acquire(server.place(), {lock_named("b")});
  EtcdClient wrong(test::as_etcd_user("ci", "guess"));
  const auto refused = failure_of(wrong, server.place());
  CHECK(refused.kind == core::ClusterFault::permission);
  CHECK(refused.why == "wrong user or password");
  EtcdClient none;
  const auto required = failure_of(none, server.place());
  CHECK(required.kind == core::ClusterFault::permission);
  CHECK(required.hint.starts_with("ETCDCTL_USER"));
  EtcdClient elsewhere(test::as_etcd_user("ci", "hush"));
  core::ClusterPlace other = server.place();
  other.ns = "production";
  const auto denied = failure_of(elsewhere, other);
  CHECK(denied.kind == core::ClusterFault::permission);
  CHECK(denied.why == "permission denied");
  CHECK(client.release());
}

TEST_CASE("a user is of no harm where none is required") {
  const EtcdServer server;
  EtcdClient client(test::as_etcd_user("ci", "hush"));
  client.acquire(server.place(), {lock_named("a")});
  CHECK(client.release());
}

// Renewals, each after a third of the lease, must find their token expired.
TEST_CASE("a token that expires is replaced while the lock is held, and when it is released") {
  const EtcdServer server({"--auth-token-ttl", "1"});
  require_users(server);
  EtcdClient client(test::as_etcd_user("ci", "hush"));
  client.send(core::AcquireRequest{1, server.place(), 6s, core::IfBusy::wait, {lock_named("a")}});
  client.expect<core::HeldReport>();
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t deadline = client.deadline();
    test::until([&] { return client.deadline() > deadline; });
  }
  CHECK(client.release());
}

TEST_CASE("started by hand, the keeper says what it is for") {
  const auto version = test::finish({test::keeper_program(), "--version"});
  CHECK(version.ended == test::exited(0));
  CHECK(version.out.ends_with("(protocol 1)\n"));
  const auto by_hand = test::finish({test::keeper_program()});
  CHECK(by_hand.ended == test::exited(64));
  CHECK(by_hand.err.find("grex-lock starts this program") != std::string::npos);
}
