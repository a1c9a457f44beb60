// `status` of locks in a real etcd.

#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <utility>

#include "cluster/etcd_site.hpp"
#include "etcd/certificates.hpp"
#include "etcd/etcd_server.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// The line of an error, and that of its hint, without their beginning.
std::pair<std::string, std::string> failure_in(const std::string& text) {
  const std::string start = "grex-lock: ";
  const auto end = text.find('\n');
  REQUIRE(text.find("\n" + start) == end);
  const auto hint = end + 1 + start.size();
  return {text.substr(start.size(), end - start.size()), text.substr(hint, text.size() - hint - 1)};
}

}  // namespace

TEST_CASE("status shows a pack's lock in the cluster, its holder on another host, and who waits for it there") {
  if (!can_unshare()) return skip("no other host name can be set");
  const TempDir dir;
  const std::string here = dir.make("a/app");
  const std::string there = dir.make("b/app");
  const Site site(dir / "a");
  CHECK(has(site.finish({"status", here}).out, "per-pack  free  app  in etcd ci\n"));
  Process job(on_host("build7", "exec " + grex_lock() + " run --note nightly --cluster-root " + dir / "b" + " " +
                                    there + " -- sh -c 'echo $GREX_LOCK_TOKEN; read line'"),
              site.setup());
  const std::string token = job.line();
  Process waiter = site.start({"run", "-q", here, "--", "true"});
  until([&] { return site.server().keys().size() == 2; });
  const Finished seen = site.finish({"status", here});
  CHECK(seen.ended == exited(0));
  CHECK(has(seen.out, "per-pack  held  app  in etcd ci\n  held by "));
  CHECK(has(seen.out, std::to_string(job.pid()) + "@build7 "));
  CHECK(has(seen.out, "[nightly] sh, token " + token + ", "));
  CHECK(has(seen.out, " s of lease left\n  waiting "));
  CHECK(has(seen.out, std::to_string(waiter.pid())));
  const Finished graph = site.finish({"status", "--graph", here});
  CHECK(has(graph.out, "\"" + std::to_string(waiter.pid()) + "\" -> \"etcd ci: app\""));
  CHECK(has(graph.out, "\"etcd ci: app\" -> \"" + std::to_string(job.pid()) + "@build7\""));
  job.close_input();
  CHECK(job.wait() == exited(1));
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("status --cluster-all shows every lock of the namespace, and --name the one") {
  const Site site;
  Process first = site.start({"hold", "--name", "a/b"});
  first.line();
  Process second = site.start({"hold", "-s", "-t", "backend", "--name", "c"});
  second.line();
  const std::string all = site.finish({"status", "--cluster-all", "--held"}).out;
  CHECK(has(all, "per-pack  held    a/b  in etcd ci\n"));
  CHECK(has(all, "backend   shared  c  in etcd ci\n"));
  const std::string one = site.finish({"status", "--name", "a/b", "--held"}).out;
  CHECK(has(one, "a/b  in etcd ci\n"));
  CHECK_FALSE(has(one, " c  in etcd ci\n"));
  CHECK(has(site.finish({"status", "--name", "other", "/"}).out, "free  other  in etcd ci\n"));
  for (Process* const hold : {&first, &second}) {
    hold->signal(SIGTERM);
    CHECK(hold->wait() == exited(0));
  }
}

TEST_CASE("if the cluster does not answer, status shows this machine's locks, and ends with 68") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  Setup setup;
  setup.environment["GREX_LOCK_CLUSTER"] = "etcd://127.0.0.1:" + std::to_string(free_port()) + "/ci";
  setup.environment["GREX_LOCK_CLUSTER_ROOT"] = dir.path();
  const Fd lock = lock_as_grex(pack + "/.grex-lock");
  const Finished seen = finish(grex_lock({"status", pack}), setup);
  reap_keepers();
  CHECK(seen.ended == exited(68));
  CHECK(has(seen.out, "per-pack  held     " + pack + "/.grex-lock\n"));
  CHECK(has(seen.out, "per-pack  unknown  app  in etcd ci\n  cluster unreachable: etcd://127.0.0.1:"));
  const Finished json = finish(grex_lock({"status", "--json", pack}), setup);
  reap_keepers();
  CHECK(json.ended == exited(68));
  CHECK(has(json.out, "\"complete\":false"));
  CHECK(has(json.out, "\"state\":\"unknown\",\"reason\":\"unreachable\""));
}

TEST_CASE("status of a whole namespace says that it is empty, or why it can't be shown") {
  Setup setup;
  {
    const Site site;
    setup = site.setup();
    CHECK(site.finish({"status", "--cluster-all"}).out == "no lock is held or waited for in etcd ci\n");
    Process hold = site.start({"hold", "-t", "backend", "--name", "x"});
    hold.line();
    CHECK(has(site.finish({"status", "--name", "x"}).out, "backend   held  x  in etcd ci\n"));
    hold.signal(SIGTERM);
    CHECK(hold.wait() == exited(0));
  }
  const Finished down = finish(grex_lock({"status", "--cluster-all"}), setup);
  reap_keepers();
  CHECK(down.ended == exited(68));
  CHECK(down.out.starts_with("cluster unreachable: etcd://127.0.0.1:"));
}

TEST_CASE("if the cluster can't be asked, status shows why and the same hint as run") {
  const Certificates certificates;
  const EtcdServer with_users;
  require_users(with_users);
  const EtcdServer with_tls = certificates.server();
  const auto check = [](const EtcdServer& server, const std::string& scheme, const std::string& ns, Setup setup) {
    setup.environment["GREX_LOCK_CLUSTER"] = scheme + "://127.0.0.1:" + std::to_string(server.port()) + "/" + ns;
    const Finished refused = finish(grex_lock({"run", "-w", "1", "--name", "app", "--", "true"}), setup);
    reap_keepers();
    const auto [why, hint] = failure_in(refused.err);
    CAPTURE(why);
    CHECK_FALSE(hint.empty());
    const Finished seen = finish(grex_lock({"status", "--name", "app"}), setup);
    reap_keepers();
    CHECK(seen.ended == refused.ended);
    CHECK(seen.out == "per-pack  unknown  app  in etcd " + ns + "\n  " + why + "\n  " + hint + "\n");
  };
  check(with_users, "etcd", "ci", as_etcd_user("ci", "guess"));
  check(with_users, "etcd", "production", as_etcd_user("ci", "hush"));
  check(with_tls, "etcds", "ci", certificates.trusting("other-ca"));
}

TEST_CASE("why the cluster can't be asked is shown for each lock, and what to do about it once") {
  const TempDir dir;
  const std::string app = dir.make("app");
  const std::string lib = dir.make("lib");
  const EtcdServer server;
  require_users(server);
  Setup setup = as_etcd_user("ci", "guess");
  setup.environment["GREX_LOCK_CLUSTER"] = "etcd://127.0.0.1:" + std::to_string(server.port()) + "/ci";
  setup.environment["GREX_LOCK_CLUSTER_ROOT"] = dir.path();
  const Finished all = finish(grex_lock({"status", "--cluster-all"}), setup);
  reap_keepers();
  CHECK(all.out.ends_with(": wrong user or password\nETCDCTL_USER=NAME ETCDCTL_PASSWORD=PASSWORD\n"));
  const Finished packs = finish(grex_lock({"status", app, lib}), setup);
  reap_keepers();
  CHECK(has(packs.out, "  lib  in etcd ci\n  not allowed: "));
  const std::string hint = "  ETCDCTL_USER=NAME ETCDCTL_PASSWORD=PASSWORD\n";
  CHECK(has(packs.out, hint));
  CHECK(packs.out.find(hint) == packs.out.rfind(hint));
}

TEST_CASE("status says if PATHs have no name in the cluster") {
  const TempDir dir;
  const Site site;
  const Finished seen = site.finish({"status", dir.path()});
  CHECK(seen.ended == exited(0));
  CHECK(seen.err == "grex-lock: PATHs have no name in the cluster; use --cluster-root, --name or --cluster-all\n");
  CHECK(run_tool({"status", "--cluster-all"}).ended == exited(64));
  CHECK(site.finish({"status", "--cluster", "none", dir.path()}).err.empty());
}

TEST_CASE("status of a PATH outside the cluster's root is a usage error, as run of it is, but not without PATH") {
  const TempDir dir;
  const std::string pack = dir.make("root/app");
  const std::string outside = dir.make("outside");
  const Site site(dir / "root");
  const Finished refused = site.finish({"status", pack, outside});
  CHECK(refused.ended == exited(64));
  CHECK(refused.out.empty());
  CHECK(refused.err == site.finish({"run", outside, "--", "true"}).err);
  CHECK(has(refused.err, outside + " has no name in the cluster: "));
  CHECK(site.finish({"status", "-r", outside}).ended == exited(64));
  CHECK(has(site.finish({"status", "--cluster", "none", outside}).out, "no lock files yet"));
  CHECK(site.finish({"status", "--name", "app", outside}).ended == exited(0));
  CHECK(site.finish({"status", "--cluster-all", outside}).ended == exited(0));

  const Finished around = site.finish({"status", "-r", dir.path()});
  CHECK(around.ended == exited(0));
  CHECK(around.err.empty());
  Setup there = site.setup();
  there.directory = outside;
  for (const std::string option : {"--held", "-r"}) {
    const Finished here = finish(grex_lock({"status", option}), there);
    CHECK(here.ended == exited(0));
    CHECK(here.err.starts_with("grex-lock: " + outside + " has no name in the cluster: relative to " + dir / "root"));
  }
  CHECK(finish(grex_lock({"status", "--all"}), there).err.find("has no name") == std::string::npos);
}
