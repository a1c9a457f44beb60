// `hold` with a lock of a cluster, in the foreground and in the background.

#include <doctest/doctest.h>
#include <signal.h>

#include <string>

#include "cluster/fake_cluster.hpp"

using namespace grex::test;

namespace {

// The PID that a hold prints.
pid_t holder_in(const std::string& announcement) { return std::stoi(announcement.substr(sizeof "pid")); }

// A hold in the background, which becomes our child when its caller has ended.
class Detached {
 public:
  Detached(const FakeCluster& cluster, std::initializer_list<std::string> rest, const Setup& setup = {}) {
    Words words = cluster.words("hold", {"--detach"});
    words.insert(words.end(), rest);
    const Finished started = finish(words, setup);
    if (started.ended != exited(0)) throw std::runtime_error("hold --detach: " + started.err);
    pid_ = holder_in(started.out);
  }
  ~Detached() {
    if (pid_ > 0) reap(pid_, SIGKILL);
  }
  Detached(const Detached&) = delete;
  Detached& operator=(const Detached&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  Ended wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFSIGNALED(status) ? killed_by(WTERMSIG(status)) : exited(WEXITSTATUS(status));
  }

 private:
  pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("hold keeps the files and the lock in the cluster, says so, and releases both") {
  const FakeCluster cluster;
  const std::string pack = cluster.make("ws/app");
  Process hold(cluster.words("hold", {"--cluster-root", cluster / "ws", pack}));
  CHECK(hold.line() ==
        "pid " + std::to_string(hold.pid()) + " holds " + pack + "/.grex-lock; in the cluster: app (token 7)");
  CHECK(is_locked(pack + "/.grex-lock"));
  cluster.until_noted();  // it outlasts the lease
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(0));
  CHECK(cluster.log("released").size() == 1);
  CHECK_FALSE(is_locked(pack + "/.grex-lock"));
  cluster.until_keeper_ended();
}

TEST_CASE("a hold of a name alone ends with its time, its input or its process") {
  for (const std::string until : {"--for=10ms", "--stdin"}) {
    CAPTURE(until);
    const FakeCluster cluster;
    Process hold(cluster.words("hold", {"--name", "deploy", until}));
    CHECK(hold.line() == "pid " + std::to_string(hold.pid()) + " holds deploy; in the cluster: deploy (token 7)");
    hold.close_input();
    CHECK(hold.wait() == exited(0));
    CHECK(cluster.log("released").size() == 1);
    cluster.until_keeper_ended();
  }
}

TEST_CASE("a hold that loses its lock in the cluster ends with 79, and the process of --while-pid gets SIGTERM") {
  for (const std::string reason : {"asked", "expired", "deleted"}) {
    CAPTURE(reason);
    const FakeCluster cluster;
    Process job({"sleep", "1000"});
    Process hold(cluster.words("hold", {"--name", "deploy", "--while-pid", std::to_string(job.pid())}));
    hold.line();
    cluster.set("lost", reason);
    CHECK(hold.wait() == exited(79));
    const std::string error = hold.error_rest();
    CHECK(error.starts_with("grex-lock: lost: deploy: "));
    CHECK(error.find("SIGTERM was sent to pid " + std::to_string(job.pid())) != std::string::npos);
    CHECK(job.wait() == killed_by(SIGTERM));
    cluster.until_keeper_ended();
  }
}

TEST_CASE("a hold whose lease can't be renewed ends before the lease") {
  const FakeCluster cluster;
  Process hold(cluster.words("hold", {"--name", "deploy"}));
  hold.line();
  cluster.set("unrenewed");
  CHECK(hold.wait() == exited(79));
  CHECK(hold.error_rest().find("the cluster has not answered for ") != std::string::npos);
  cluster.until_keeper_ended();
}

TEST_CASE("a hold in the background keeps the lock, also with another keeper, and releases it at its end") {
  const FakeCluster cluster;
  Detached hold(cluster, {"--name", "deploy"},
                {.environment = {{"ETCDCTL_CACERT", "ca.pem"}}, .directory = cluster.path()});
  cluster.until_noted();
  const pid_t first = cluster.keeper();
  ::kill(first, SIGKILL);
  until([&] { return !cluster.log("{\"request\":\"adopt\"").empty(); });
  CHECK(cluster.keeper() != first);
  // It was started in the root directory.
  CHECK(content_of("/proc/" + std::to_string(cluster.keeper()) + "/environ")
            .find("ETCDCTL_CACERT=" + cluster.path() + "/ca.pem") != std::string::npos);
  cluster.until_noted();
  ::kill(hold.pid(), SIGTERM);
  CHECK(hold.wait() == exited(0));
  CHECK(cluster.log("released").size() == 1);
  cluster.until_keeper_ended();
}

TEST_CASE("the lock of a hold that is killed is released immediately") {
  const FakeCluster cluster;
  Detached hold(cluster, {"--name", "deploy"});
  ::kill(hold.pid(), SIGKILL);
  CHECK(hold.wait() == killed_by(SIGKILL));
  cluster.until_keeper_ended();
  CHECK(cluster.log("lost").empty());
}

TEST_CASE("what a hold exports counts as held, by its name in the cluster, too") {
  const FakeCluster cluster;
  const Finished started = finish(cluster.words("hold", {"--detach", "--export=env", "--name", "deploy"}));
  REQUIRE(started.ended == exited(0));
  const std::string stack = started.out.substr(started.out.find('=') + 1);
  const auto at = stack.find("\"pid\":") + sizeof "\"pid\"";
  const pid_t hold = std::stoi(stack.substr(at));
  const Setup setup = {.environment = {{"GREX_LOCK_STACK", stack.substr(0, stack.size() - 1)}}};
  const Finished again = finish(cluster.words("run", {"-n", "--name", "deploy", "--", "true"}), setup);
  CHECK(again.ended == exited(75));
  CHECK(again.err.starts_with("grex-lock: busy: deploy: "));
  CHECK(finish(cluster.words("run", {"-n", "-t", "semaphore", "--name", "deploy", "--", "true"}), setup).ended ==
        exited(76));
  ::kill(hold, SIGTERM);
  int status = 0;
  ::waitpid(hold, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  cluster.until_keeper_ended();
}
