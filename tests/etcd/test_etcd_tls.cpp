// TLS, and certificates of clients.

#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "etcd/certificates.hpp"
#include "etcd/etcd_client.hpp"

using namespace grex;
using namespace std::chrono_literals;
using test::Certificates;
using test::EtcdClient;
using test::EtcdServer;
using test::lock_named;

namespace {

core::FailedReport failure_of(core::ClusterPlace place, const test::Setup& setup) {
  place.timeout = 1s;
  EtcdClient client(setup);
  client.request(place, {lock_named("a")});
  return client.expect<core::FailedReport>();
}

}  // namespace

TEST_CASE("a server whose certificate is valid is trusted, and no other one") {
  const Certificates certificates;
  const EtcdServer server = certificates.server();
  EtcdClient client(certificates.trusting("ca"));
  client.acquire(server.place(), {lock_named("a")});
  CHECK(client.release());
  for (const test::Setup& setup : {test::Setup(), certificates.trusting("other-ca")}) {
    const auto failed = failure_of(server.place(), setup);
    CHECK(failed.kind == core::ClusterFault::unreachable);
    CHECK(failed.why.find("server certificate not valid") != std::string::npos);
    CHECK(failed.hint.find("ETCDCTL_CACERT") != std::string::npos);
  }
  const EtcdServer future = certificates.server("future");
  CHECK(
      failure_of(future.place(), certificates.trusting("ca")).hint.starts_with("or this machine's clock is wrong: 20"));
  const EtcdServer elsewhere = certificates.server("elsewhere");
  const auto failed = failure_of(elsewhere.place(), certificates.trusting("ca"));
  CHECK(failed.kind == core::ClusterFault::unreachable);
  CHECK(failed.why.find("server certificate not valid") != std::string::npos);
}

TEST_CASE("a server with TLS asked without it, or the other way round, is unreachable, and the hint names the scheme") {
  const Certificates certificates;
  const EtcdServer with_tls = certificates.server();
  const EtcdServer without;
  core::ClusterPlace place = with_tls.place();
  place.endpoints.front().replace(0, 5, "http");
  const auto required = failure_of(place, {});
  CHECK(required.kind == core::ClusterFault::unreachable);
  CHECK(required.hint == "if it requires TLS: etcds://HOST/NAMESPACE");
  place = without.place();
  place.endpoints.front().replace(0, 4, "https");
  const auto missing = failure_of(place, certificates.trusting("ca"));
  CHECK(missing.kind == core::ClusterFault::unreachable);
  CHECK(missing.hint == "if it has no TLS: etcd://HOST/NAMESPACE");
}

TEST_CASE("a client with a certificate of the cluster's CA gets locks; no other one does") {
  const Certificates certificates;
  const EtcdServer server = certificates.server_for_certificates();
  EtcdClient client(certificates.client("client"));
  client.acquire(server.place(), {lock_named("a")});
  CHECK(client.release());
  for (const auto& setup :
       {certificates.trusting("ca"), certificates.client("stranger"), certificates.client("expired")}) {
    const auto failed = failure_of(server.place(), setup);
    CHECK(failed.kind == core::ClusterFault::permission);
    CHECK(failed.why == "client certificate refused");
    CHECK(failed.hint.find("ETCDCTL_CERT") != std::string::npos);
  }
}

TEST_CASE("a certificate with the name of a user does not make the user known, and the hint says what does") {
  const Certificates certificates;
  const EtcdServer server = certificates.server_for_certificates();
  const test::Words access = {"--cacert", certificates / "ca.pem",    "--cert", certificates / "client.pem",
                              "--key",    certificates / "client.key"};
  test::require_users(server, access);
  const auto failed = failure_of(server.place(), certificates.client("named"));
  CHECK(failed.kind == core::ClusterFault::permission);
  CAPTURE(failed.why);
  CHECK(failed.hint.find("common name") != std::string::npos);
}

TEST_CASE("certificates that can't be read are reported before anything is sent") {
  const Certificates certificates;
  const core::ClusterPlace place = {{"https://127.0.0.1:" + std::to_string(test::free_port())}, "ci", 1s};
  const auto missing = failure_of(place, certificates.client("missing"));
  CHECK(missing.kind == core::ClusterFault::cluster_config);
  CHECK(missing.why == "ETCDCTL_CERT: " + certificates / "missing.pem" + ": No such file or directory");
  const EtcdServer server = certificates.server();
  test::write_file(certificates / "garbage.pem", "garbage");
  test::write_file(certificates / "garbage.key", "garbage");
  CHECK(failure_of(server.place(), certificates.client("garbage")).kind == core::ClusterFault::cluster_config);
  CHECK(failure_of(server.place(), certificates.trusting("garbage")).kind == core::ClusterFault::cluster_config);
}

TEST_CASE("certificates are found relative to the directory in which the keeper was started") {
  const Certificates certificates;
  const EtcdServer server = certificates.server();
  EtcdClient client({.environment = {{"ETCDCTL_CACERT", "ca.pem"}}, .directory = certificates / "."});
  client.acquire(server.place(), {lock_named("a")});
  CHECK(client.release());
}

// SECURITY.md: make the keeper load code, write its keys to a file, or use a proxy | it gets the
// five variables of etcdctl only
TEST_CASE("no variable of the environment makes the keeper write its keys, load code or use a proxy") {
  const Certificates certificates;
  const EtcdServer server = certificates.server();
  test::Setup setup = certificates.trusting("ca");
  const std::string proxy = "http://127.0.0.1:" + std::to_string(test::free_port());
  for (const char* const name : {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"})
    setup.environment[name] = proxy;
  setup.environment["SSLKEYLOGFILE"] = certificates / "keys";
  setup.environment["OPENSSL_CONF"] = certificates / "openssl.cnf";
  test::write_file(
      certificates / "openssl.cnf",
      "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nMinProtocol = None\n"
      "MaxProtocol = SSLv3\n");
  EtcdClient client(setup);
  client.acquire(server.place(), {lock_named("a")});
  CHECK(client.release());
  CHECK_FALSE(test::exists(certificates / "keys"));
}
