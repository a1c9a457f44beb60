// What users see if a real etcd refuses them, or can't be asked: code, message and hint.

#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "etcd/certificates.hpp"
#include "etcd/etcd_server.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

std::string url(const EtcdServer& server, const std::string& scheme, const std::string& ns = "ci") {
  return scheme + "://127.0.0.1:" + std::to_string(server.port()) + "/" + ns;
}

// Whether `run` and `wait` end so, and nothing runs; and the commands that don't wait, unless they give
// an unreachable cluster time, too. `why` and `hint` are how they begin.
void check_refused(const std::string& cluster, const Setup& setup, int code, const std::string& what,
                   const std::string& why, const std::string& hint) {
  const TempDir dir;
  const Words tail = {"--cluster", cluster, "--name", "app"};
  std::vector<Words> commands = {{"run", "-w", "1"}, {"wait", "-w", "1"}};
  if (code != 68) commands.insert(commands.end(), {{"run", "-n"}, {"probe"}});
  for (const Words& command : commands) {
    Words words = {grex_lock()};
    words.insert(words.end(), command.begin(), command.end());
    words.insert(words.end(), tail.begin(), tail.end());
    if (command.front() == "run") words.insert(words.end(), {"--", "touch", dir / "ran"});
    const Finished finished = finish(words, setup);
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(code));
    reap_keepers();
    CHECK(finished.err.starts_with("grex-lock: " + what + ": " + cluster + ": "));
    CHECK(finished.err.find(why) != std::string::npos);
    CHECK((hint.empty() || finished.err.find("\ngrex-lock: " + hint) != std::string::npos));
  }
  CHECK_FALSE(exists(dir / "ran"));
}

}  // namespace

TEST_CASE("a job runs under a lock of a cluster with TLS, certificates of clients and users") {
  const Certificates certificates;
  const EtcdServer server = certificates.server_for_certificates();
  require_users(server, {"--cacert", certificates / "ca.pem", "--cert", certificates / "client.pem", "--key",
                         certificates / "client.key"});
  Setup setup = certificates.client("client");
  setup.environment["ETCDCTL_USER"] = "ci";
  setup.environment["ETCDCTL_PASSWORD"] = "hush";
  const Finished ran = finish(
      grex_lock({"run", "--cluster", url(server, "etcds"), "--name", "app", "--", "printenv", "GREX_LOCK_TOKEN"}),
      setup);
  reap_keepers();
  CHECK(ran.err == "");
  CHECK(ran.ended == exited(0));
  CHECK(std::stoi(ran.out) > 0);
}

TEST_CASE("a server whose certificate is not valid is unreachable, and the hint says what to set") {
  const Certificates certificates;
  const EtcdServer server = certificates.server();
  check_refused(url(server, "etcds"), {}, 68, "cluster unreachable", "server certificate not valid",
                "the CA of the cluster: ETCDCTL_CACERT=FILE");
  check_refused(url(server, "etcds"), certificates.trusting("other-ca"), 68, "cluster unreachable",
                "server certificate not valid", "the CA of the cluster: ETCDCTL_CACERT=FILE");
  const EtcdServer future = certificates.server("future");
  check_refused(url(future, "etcds"), certificates.trusting("ca"), 68, "cluster unreachable",
                "server certificate not valid", "or this machine's clock is wrong: 20");
}

TEST_CASE("TLS where there is none, or none where it is required, is unreachable, and the hint has the other scheme") {
  const Certificates certificates;
  const EtcdServer with_tls = certificates.server();
  check_refused(url(with_tls, "etcd"), {}, 68, "cluster unreachable", "", "if it requires TLS: etcds://HOST/NAMESPACE");
  const EtcdServer without;
  check_refused(url(without, "etcds"), {}, 68, "cluster unreachable", "", "if it has no TLS: etcd://HOST/NAMESPACE");
}

TEST_CASE("a client whose certificate is missing, expired or another CA's is not allowed") {
  const Certificates certificates;
  const EtcdServer server = certificates.server_for_certificates();
  for (const Setup& setup :
       {certificates.trusting("ca"), certificates.client("stranger"), certificates.client("expired")}) {
    check_refused(url(server, "etcds"), setup, 77, "not allowed", "client certificate refused",
                  "none given, or expired, or signed by another CA: ETCDCTL_CERT=FILE ETCDCTL_KEY=FILE");
  }
}

TEST_CASE("a certificate that can't be read makes the cluster unusable") {
  const Certificates certificates;
  const EtcdServer server = certificates.server();
  check_refused(url(server, "etcds"), certificates.client("missing"), 78, "cluster not usable",
                "ETCDCTL_CERT: " + certificates / "missing.pem" + ": No such file or directory", "");
}

TEST_CASE("a file that can't be used for TLS makes the cluster unusable, and the variable that names it is named") {
  const Certificates certificates;
  const EtcdServer server = certificates.server();
  write_file(certificates / "garbage", "garbage");
  const auto check = [&](const std::map<std::string, std::string>& changes, const std::string& why,
                         const std::string& hint) {
    Setup setup = certificates.client("client");
    for (const auto& [variable, name] : changes) {
      setup.environment[variable] = name.empty() ? std::nullopt : std::optional(certificates / name);
    }
    check_refused(url(server, "etcds"), setup, 78, "cluster not usable", "/ci: " + why + "\n", hint);
  };
  const std::string no_certificate = ": no certificate in PEM format";
  for (const std::string name : {"garbage", "ca.key"}) {
    check({{"ETCDCTL_CACERT", name}}, "ETCDCTL_CACERT: " + certificates / name + no_certificate,
          "the CA of the cluster: ETCDCTL_CACERT=FILE\n");
    check({{"ETCDCTL_CERT", name}}, "ETCDCTL_CERT: " + certificates / name + no_certificate, "");
    check({{"ETCDCTL_KEY", name}}, "ETCDCTL_KEY: " + certificates / name + ": not the private key of ETCDCTL_CERT",
          "the key must be in PEM format, without a passphrase\n");
  }
  check({{"ETCDCTL_CACERT", "none"}}, "ETCDCTL_CACERT: " + certificates / "none" + ": No such file or directory", "");
  check({{"ETCDCTL_KEY", "none"}}, "ETCDCTL_KEY: " + certificates / "none" + ": No such file or directory", "");
  check({{"ETCDCTL_KEY", ""}}, "ETCDCTL_CERT is set without ETCDCTL_KEY",
        "the private key of the certificate: ETCDCTL_KEY=FILE\n");
  check({{"ETCDCTL_CERT", ""}}, "ETCDCTL_KEY is set without ETCDCTL_CERT",
        "the certificate of the key: ETCDCTL_CERT=FILE\n");
}

TEST_CASE("a user who is missing, has another password or no right to the namespace is not allowed") {
  const EtcdServer server;
  require_users(server);
  check_refused(url(server, "etcd"), {}, 77, "not allowed", "the cluster requires a user",
                "ETCDCTL_USER=NAME ETCDCTL_PASSWORD=PASSWORD");
  check_refused(url(server, "etcd"), as_etcd_user("ci", "guess"), 77, "not allowed", "wrong user or password", "");
  check_refused(url(server, "etcd", "production"), as_etcd_user("ci", "hush"), 77, "not allowed", "permission denied",
                "");
}

TEST_CASE("a user that only a certificate names is not allowed, and the hint says what is needed") {
  const Certificates certificates;
  const EtcdServer server = certificates.server_for_certificates();
  require_users(server, {"--cacert", certificates / "ca.pem", "--cert", certificates / "client.pem", "--key",
                         certificates / "client.key"});
  check_refused(url(server, "etcds"), certificates.client("named"), 77, "not allowed", "the cluster requires a user",
                "etcd's gateway takes no user from a certificate: use one without a common name, and ETCDCTL_USER");
}

TEST_CASE("a certificate that is replaced is used by the next command") {
  const Certificates certificates;
  const EtcdServer server = certificates.server_for_certificates();
  const auto run = [&] {
    const Finished finished =
        finish(grex_lock({"run", "-n", "--cluster", url(server, "etcds"), "--name", "app", "--", "true"}),
               certificates.client("used"));
    reap_keepers();
    return finished.ended;
  };
  const auto use = [&certificates](const std::string& name) {
    for (const std::string end : {".pem", ".key"}) {
      std::filesystem::copy_file(certificates / (name + end), certificates / ("used" + end),
                                 std::filesystem::copy_options::overwrite_existing);
    }
  };
  use("expired");
  CHECK(run() == exited(77));
  use("client");
  CHECK(run() == exited(0));
}

// Its user's token has expired several times by then.
TEST_CASE("a hold that outlasts the token of its user is released at its end") {
  const EtcdServer server({"--auth-token-ttl", "1"});
  require_users(server);
  const Finished hold =
      finish(grex_lock({"hold", "--for", "5s", "--lease", "10s", "--cluster", url(server, "etcd"), "--name", "app"}),
             as_etcd_user("ci", "hush"));
  reap_keepers();
  CHECK(hold.ended == exited(0));
  CHECK(hold.err.empty());
  CHECK(server.ctl({"--user", "root:secret", "get", "--prefix", "/grex-lock/", "--keys-only"}).empty());
}

TEST_CASE("-v tells of a fault of the server that concerns locks") {
  const EtcdServer server;
  const auto run = [&](const std::string& option) {
    const Finished finished =
        finish(grex_lock({"run", option, "--cluster", url(server, "etcd"), "--name", "app", "--", "true"}));
    reap_keepers();
    return finished.err;
  };
  CHECK(run("-v").find("grex-lock: etcd 3.") != std::string::npos);
  CHECK(run("-n") == "");
}
