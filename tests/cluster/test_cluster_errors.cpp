// What a user sees if a cluster can't be used, or an option doesn't suit one.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <memory>

#include "cluster/fake_cluster.hpp"
#include "support/terminal.hpp"

using namespace grex::test;

namespace {

constexpr const char* url = "etcd://localhost/ci";

Finished run(const FakeCluster& cluster, std::initializer_list<std::string> words, const Setup& setup = {}) {
  return finish(cluster.words("run", words), setup);
}

std::string usage(const std::string& text) { return "grex-lock: usage: " + text + "\n"; }

}  // namespace

TEST_CASE("without its keeper, a cluster can't be used, and the command doesn't run") {
  const FakeCluster cluster;
  REQUIRE(::unlink((cluster / "grex-lock-etcd").c_str()) == 0);
  const Finished missing = run(cluster, {"--name", "app", "--", "touch", cluster / "ran"});
  CHECK(missing.ended == exited(78));
  CHECK(missing.err ==
        "grex-lock: cluster not usable: grex-lock-etcd is not installed\n"
        "grex-lock: install the package grex-lock-etcd, or use --cluster none\n");
  CHECK_FALSE(exists(cluster / "ran"));
  const Finished seen = finish(cluster.words("status", {"--name", "app"}));
  CHECK(seen.ended == exited(78));
  CHECK(seen.out ==
        "per-pack  unknown  app  in etcd ci\n"
        "  cluster not usable: grex-lock-etcd is not installed\n"
        "  install the package grex-lock-etcd, or use --cluster none\n");
  CHECK(run(cluster, {"--cluster", "none", cluster.make("app"), "--", "true"}).ended == exited(0));
}

TEST_CASE("a keeper of another protocol, or one that answers what is no answer, is refused") {
  for (const auto& [script, why] : std::initializer_list<std::pair<std::string, std::string>>{
           {"protocol 2", "etcd://localhost/ci: grex-lock-etcd speaks protocol 2"},
           {"first_line garbage", "grex-lock-etcd sent an answer that doesn't fit"},
           {"exit 1", "grex-lock-etcd ended without an answer"}}) {
    CAPTURE(script);
    const FakeCluster cluster(script + "\n");
    const Finished finished = run(cluster, {"--name", "app", "--", "touch", cluster / "ran"});
    CHECK(finished.ended == exited(78));
    CHECK(finished.err.starts_with("grex-lock: cluster not usable: " + why + "\n"));
    CHECK_FALSE(exists(cluster / "ran"));
  }
}

TEST_CASE("what the cluster answers has its own exit code") {
  for (const auto& [kind, code, what] :
       std::initializer_list<std::tuple<std::string, int, std::string>>{{"unreachable", 68, "cluster unreachable"},
                                                                        {"permission", 77, "not allowed"},
                                                                        {"cluster-config", 78, "cluster not usable"}}) {
    CAPTURE(kind);
    const FakeCluster cluster("acquire fail " + kind + "\n");
    for (const std::string wait : {"-n", "-w1m"}) {
      const Finished finished = run(cluster, {wait, "-E", "1", "--name", "app", "--", "touch", cluster / "ran"});
      CHECK(finished.ended == exited(code));
      CHECK(finished.err.starts_with("grex-lock: " + what + ": etcd://localhost/ci: "));
    }
    CHECK_FALSE(exists(cluster / "ran"));
  }
}

TEST_CASE("a busy lock names the holder and its host, and a wait ends at its time limit or by a signal") {
  const FakeCluster cluster("acquire wait\n");
  const Finished busy = run(cluster, {"-n", "--name", "app", "--", "true"});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.starts_with("grex-lock: busy: app: held by "));
  const Finished late = run(cluster, {"-w", "0.2", "--name", "app", "--", "true"});
  CHECK(late.ended == exited(75));
  CHECK(late.err.starts_with("grex-lock: timed out after 0.2s: app: held by "));
  Process waiting(cluster.run("exit 0"));
  until([&] { return cluster.log("waiting").size() == 2; });
  waiting.signal(SIGTERM);
  CHECK(waiting.wait() == exited(128 + SIGTERM));
  CHECK(cluster.log("{\"request\":\"cancel\"").size() == 2);
  cluster.until_keeper_ended();
}

// It has to last: the clock of a wait can't be set.
TEST_CASE("after ten seconds of a wait for a name, the line to type shows that name") {
  const FakeCluster cluster("acquire wait\n");
  const auto wait = [&cluster](const Words& options, Setup setup) {
    setup.before_exec = [] {
      const winsize size = {24, 300, 0, 0};
      ::ioctl(0, TIOCSWINSZ, &size);
    };
    Words words = {cluster.tool(), "run"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--", "true"});
    return std::make_unique<Terminal>(words, setup);
  };
  const auto plain = wait({"--name", "deploy"}, {.environment = {{"GREX_LOCK_CLUSTER", url}}});
  const auto quoted = wait({"--cluster", url, "--name", "my job"}, {});
  plain->expect(" (see grex-lock status --name deploy)");
  quoted->expect(std::string(" (see grex-lock status --cluster ") + url + " --name 'my job')");
  cluster.set("grant");
  CHECK(plain->wait() == exited(0));
  CHECK(quoted->wait() == exited(0));
}

TEST_CASE("a wait that Ctrl-Z stops leaves the queue, and joins it again when it goes on") {
  const FakeCluster cluster("acquire wait\n");
  Process waiting(cluster.run("exit 0"), {.before_exec = [] { ::setpgid(0, 0); }});  // of an orphaned group, none stops
  until([&] { return cluster.log("waiting").size() == 1; });
  waiting.signal(SIGTSTP);
  until([&] { return state_of(waiting.pid()) == 'T'; });
  CHECK(cluster.log("{\"request\":\"cancel\"").size() == 1);
  waiting.signal(SIGCONT);
  until([&] { return cluster.log("waiting").size() == 2; });
  cluster.set("grant");
  CHECK(waiting.wait() == exited(0));
  cluster.until_keeper_ended();
}

TEST_CASE("a lock without a name in the cluster is a usage error, never a local lock") {
  const FakeCluster cluster;
  const std::string pack = cluster.make("ws/app");
  const auto refused = [&cluster](std::initializer_list<std::string> words) {
    const Finished finished = run(cluster, words);
    CHECK(finished.ended == exited(64));
    CHECK_FALSE(exists(cluster / "ran"));
    return finished.err;
  };
  const std::string ran = cluster / "ran";
  CHECK(refused({pack, "--", "touch", ran}).starts_with(usage(pack + " has no name in the cluster")));
  CHECK(refused({"--cluster-root", cluster / "ws/app", cluster / "ws", "--", "touch", ran})
            .starts_with("grex-lock: usage: " + cluster / "ws" + " has no name in the cluster: "));
  CHECK(refused({"--name", "a", pack, cluster / "ws", "--", "touch", ran})
            .starts_with(usage("--name names one lock, but there are several PATHs")));
  CHECK(refused({"--name", "", pack, "--", "touch", ran}).starts_with("grex-lock: usage: --name: "));
  CHECK(refused({"--name", std::string(513, 'n'), pack, "--", "touch", ran}).starts_with("grex-lock: usage: --name: "));
  CHECK(refused({"--name", "a", "-l", "manifest:" + pack, "--", "touch", ran})
            .starts_with("grex-lock: usage: --lock needs --cluster-root"));
  // The last one alone would be locked.
  CHECK(refused({"--name", "a", "--name", "b", "--", "touch", ran}) == usage("--name can be given only once"));
  CHECK(refused({"--lease", "5s", "--name", "a", "--", "touch", ran}).starts_with("grex-lock: usage: --lease: "));
  for (const std::string bad : {"localhost", "etcd://localhost", "etcd://me:secret@localhost/ci", "etcd:///ci"}) {
    CHECK(refused({"--cluster", bad, "--name", "a", "--", "touch", ran}).starts_with("grex-lock: usage: --cluster: '"));
  }
}

TEST_CASE("what can't lock in a cluster says so, and how to lock on this machine only") {
  const FakeCluster cluster;
  const std::string pack = cluster.make("app");
  const std::string hint = "grex-lock: to lock on this machine only: --cluster none\n";
  const Setup setup = {.environment = {{"GREX_LOCK_CLUSTER", url}, {"GREX_LOCK_CLUSTER_ROOT", cluster.path()}}};
  for (const std::string option : {"--close", "--linger", "--no-fork"}) {
    const Finished finished = finish({cluster.tool(), "run", option, pack, "--", "true"}, setup);
    CHECK(finished.ended == exited(64));
    CHECK(finished.err == usage(option + " can't be used with a cluster") + hint);
    CHECK(finish({cluster.tool(), "run", "--cluster", "none", option, pack, "--", "true"}, setup).ended == exited(0));
  }
  const Finished fd = finish({cluster.tool(), "fd", "0"}, setup);
  CHECK(fd.ended == exited(64));
  CHECK(fd.err == usage("fd can't be used with a cluster") + hint);
  for (const std::string option : {"--name=a", "--cluster-root=/", "--lease=30s"}) {
    const Finished finished = run_tool({"run", option, pack, "--", "true"});
    CHECK(finished.ended == exited(64));
    CHECK(finished.err.find("has no effect without a cluster") != std::string::npos);
  }
}

TEST_CASE("what to type instead of an option that can't lock in a cluster also leads out of --name and the like") {
  const FakeCluster cluster;
  const std::string pack = cluster.make("app");
  const Setup setup = {.environment = {{"GREX_LOCK_CLUSTER", url}}};
  const auto run_with = [&](const Words& options) {
    Words words = {cluster.tool(), "run"};
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {"--", "true"});
    return finish(words, setup);
  };
  const std::string hint = "grex-lock: to lock on this machine only: --cluster none";
  for (const std::string option : {"--close", "--linger", "--no-fork"}) {
    const std::string refusal = usage(option + " can't be used with a cluster");
    CHECK(run_with({option, "--name", "deploy"}).err == refusal + hint + ", and a PATH instead of --name\n");
    CHECK(run_with({option, "--cluster-root", cluster.path(), pack}).err ==
          refusal + hint + ", without --cluster-root\n");
    CHECK(run_with({option, "--lease", "30s", pack}).err == refusal + hint + ", without --lease\n");
    CHECK(run_with({option, "--cluster", "none", pack}).ended == exited(0));
  }
  const Finished half_followed = run_with({"--cluster", "none", "--name", "deploy"});
  CHECK(half_followed.ended == exited(64));
  CHECK(half_followed.err ==
        usage("--name has no effect with --cluster none") + "grex-lock: on this machine, a PATH names the lock\n");
  CHECK(run_with({"--cluster", "none", "--cluster-root", cluster.path(), pack}).err ==
        usage("--cluster-root has no effect with --cluster none") + "grex-lock: omit it\n");
}

TEST_CASE("if PATH is missing, and there is a cluster, --name is mentioned") {
  const FakeCluster cluster;
  Setup setup = in("/");
  const std::string way_out = "; or use --name NAME for a lock of the cluster alone\n";
  const auto check = [&](const Words& words) {
    CAPTURE(words);
    for (const bool has_cluster : {true, false}) {
      setup.environment["GREX_LOCK_CLUSTER"] = has_cluster ? url : "none";
      Words line = {cluster.tool()};
      line.insert(line.end(), words.begin(), words.end());
      const Finished finished = finish(line, setup);
      CHECK(finished.ended == exited(64));
      CHECK(finished.err.starts_with("grex-lock: usage: PATH is missing"));
      CHECK(finished.err.ends_with(way_out) == has_cluster);
    }
  };
  check({"run", "--", "true"});
  check({"hold", "-t", "semaphore"});
  check({"wait"});
  check({"probe"});
  check({"release"});
  setup.environment["GREX_LOCK_CLUSTER"] = url;
  CHECK(finish({cluster.tool(), "release", "--force"}, setup).err.ends_with(way_out));
}

TEST_CASE("a guard needs a PATH: it is taken on the workspaces above") {
  const FakeCluster cluster;
  for (const std::string command : {"run", "hold", "wait", "probe"}) {
    for (const std::string option : {"--guard", "--guard=/"}) {
      Words words = cluster.words(command, {option, "--name", "app"});
      if (command == "run") words.insert(words.end(), {"--", "true"});
      const Finished finished = finish(words);
      CHECK(finished.ended == exited(64));
      CHECK(finished.err ==
            usage("--guard has no effect without PATH") + "grex-lock: a guard is taken on the workspaces above PATH\n");
    }
  }
}

TEST_CASE("a password is not sent without TLS, but to this machine") {
  const FakeCluster cluster;
  const Setup setup = {.environment = {{"ETCDCTL_USER", "ci:secret"}}};
  const Finished finished = run(cluster, {"--cluster", "etcd://h1/ci", "--name", "app", "--", "true"}, setup);
  CHECK(finished.ended == exited(64));
  CHECK(finished.err.starts_with(usage("--cluster: a password would be sent without encryption")));
  CHECK(run(cluster, {"--name", "app", "--", "true"}, setup).ended == exited(0));
}

// SECURITY.md: make grex-lock start another program as the keeper of cluster locks |
// `GREX_LOCK_LIBEXEC` must be a directory that no other user can change, and root ignores it
TEST_CASE("GREX_LOCK_LIBEXEC must be a directory that no other user can change, and root ignores it") {
  const FakeCluster cluster;
  const Words words = {grex_lock(), "run", "--cluster", url, "--name", "app", "--", "true"};
  if (::geteuid() == 0) {
    CHECK(run(cluster, {"--name", "app", "--", "true"}, {.environment = {{"GREX_LOCK_LIBEXEC", "/nowhere"}}}).ended ==
          exited(0));
  }
  if (!can_become_others()) return;
  Setup setup = as_nobody();
  const auto failure = [&](const std::string& directory) {
    setup.environment["GREX_LOCK_LIBEXEC"] = directory;
    const Finished finished = finish(words, setup);
    CHECK(finished.ended == exited(78));
    return finished.err;
  };
  CHECK(failure("libexec") == "grex-lock: cluster not usable: libexec: GREX_LOCK_LIBEXEC is not an absolute path\n");
  CHECK(failure("/nowhere").starts_with("grex-lock: cluster not usable: /nowhere: "));
  // /tmp, or whatever other users can write to, is above.
  CHECK(failure(cluster.path()).find("other users can change it, and GREX_LOCK_LIBEXEC names it") != std::string::npos);
}

// SECURITY.md: make the keeper load code, write its keys to a file, or use a proxy | it gets the
// five variables of etcdctl only
TEST_CASE("the keeper gets no variable of the environment but those of etcdctl, and CMD gets tokens") {
  const FakeCluster cluster;
  const Setup setup = {.environment = {{"ETCDCTL_CACERT", "/ca"}, {"OPENSSL_CONF", "/evil"}, {"https_proxy", "evil"}}};
  Process tool(cluster.run("echo $GREX_LOCK_TOKEN $GREX_LOCK_CLUSTER_ID; echo $GREX_LOCK_TOKENS; read -r line; exit 0"),
               setup);
  CHECK(tool.line() == "7 fake-cluster");
  CHECK(tool.line() == R"([{"tier":"per-pack","name":"app","token":7}])");
  const std::string environment = content_of("/proc/" + std::to_string(cluster.keeper()) + "/environ");
  CHECK(environment == std::string("ETCDCTL_CACERT=/ca") + '\0');
  tool.close_input();
  CHECK(tool.wait() == exited(0));
  cluster.until_keeper_ended();
}

TEST_CASE(
    "below a cluster's lock, the same one is refused, or passed with --reentrant, and lower tiers break the order") {
  const FakeCluster cluster;
  Setup setup;
  setup.environment["LOCK"] = cluster.tool();
  setup.environment["GREX_LOCK_CLUSTER"] = url;
  const auto status_of = [&](const std::string& inner) {
    const Finished finished = finish({cluster.tool(), "run", "--name", "app", "--", "sh", "-c", inner}, setup);
    return finished.ended.status;
  };
  CHECK(status_of("$LOCK run --name app -- true") == 75);
  CHECK(status_of("$LOCK run --reentrant --name app -- true") == 0);
  CHECK(status_of("$LOCK run --name lib -- true") == 76);
  CHECK(status_of("$LOCK run -t workspace-sync --name app -- true") == 76);
  CHECK(status_of("$LOCK run -t manifest --name app -- true") == 0);
  // The namespace is another one, and so is the lock.
  CHECK(status_of("$LOCK run -t manifest --cluster etcd://localhost/other --name app -- true") == 0);
}

TEST_CASE("-v names the lock in the cluster with its token, also of a lock that has files, too") {
  const FakeCluster cluster;
  const std::string pack = cluster.make("app");
  const Finished finished = run(cluster, {"-v", "--cluster-root", cluster.path(), pack, "--", "true"});
  CHECK(finished.ended == exited(0));
  CHECK(finished.err.find("grex-lock: in etcd://localhost/ci: app (token 7)\n") != std::string::npos);
}

TEST_CASE("a keeper that doesn't answer is not a busy lock, and is not waited for") {
  const FakeCluster cluster("acquire silent\n");
  const Finished finished = run(cluster, {"-w", "0.1", "--name", "app", "--", "touch", cluster / "ran"});
  CHECK(finished.ended == exited(68));
  CHECK(finished.err ==
        "grex-lock: cluster unreachable: etcd://localhost/ci: grex-lock-etcd has not answered in time\n");
  CHECK_FALSE(exists(cluster / "ran"));
}

TEST_CASE("-w 0 takes a free lock, as -n does") {
  const FakeCluster cluster;
  CHECK(run(cluster, {"-w", "0", "--name", "app", "--", "true"}).ended == exited(0));
}

TEST_CASE("a name may have any bytes, and what CMD learns of it is UTF-8") {
  const FakeCluster cluster;
  const Finished finished = run(cluster, {"--name", "a\xff\x1b", "--", "sh", "-c", "echo $GREX_LOCK_TOKENS"});
  CHECK(finished.ended == exited(0));
  CHECK(finished.out.find("\"name\":\"a\\ufffd\\u001b\"") != std::string::npos);
}

TEST_CASE("more than one request can say of locks is a usage error") {
  const FakeCluster cluster;
  Words words = cluster.words("run", {"--note", std::string(3000, 'n'), "--cluster-root", cluster.path()});
  for (int i = 0; i < 30; ++i) words.push_back(cluster.make("pack" + std::to_string(i)));
  words.insert(words.end(), {"--", "true"});
  const Finished finished = finish(words);
  CHECK(finished.ended == exited(64));
  CHECK(finished.err.find("take fewer locks at a time") != std::string::npos);
}
