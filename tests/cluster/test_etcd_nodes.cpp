// Jobs while nodes of an etcd fail.

#include <doctest/doctest.h>
#include <signal.h>

#include <string>
#include <utility>

#include "etcd/etcd_cluster.hpp"
#include "etcd/etcd_server.hpp"
#include "support/process.hpp"

using namespace grex::test;

namespace {

// A job with a lock, a hold of another one, and those who wait for the first.
class Jobs {
 public:
  explicit Jobs(const EtcdCluster& cluster)
      : setup_({.environment = {{"GREX_LOCK_CLUSTER", cluster.url()}, {"GREX_LOCK_LEASE", "20s"}}}),
        job_(start({"run", "--name", "app", "--", "sh", "-c", "echo $GREX_LOCK_TOKEN; read line; exit 0"})),
        hold_(start({"hold", "--name", "other"})) {
    token_ = std::stol(job_.line());
    hold_.line();
    next_.emplace(start({"run", "-q", "--name", "app", "--", "printenv", "GREX_LOCK_TOKEN"}));
    watcher_.emplace(start({"wait", "-q", "--name", "app"}));
    until([this] { return waiters() == 1; });
  }
  ~Jobs() { reap_keepers(); }
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  /// Waits until the lease of the job has been renewed from now on.
  void until_renewed() const {
    int last = lease_left();
    until([this, &last] {
      const int before = std::exchange(last, lease_left());
      return before >= 0 && last > before;
    });
  }

  /// All end as if nothing had happened.
  void check_ends() {
    job_.close_input();
    CHECK(job_.wait() == exited(0));
    CHECK(std::stol(next_->line()) > token_);
    CHECK(next_->wait() == exited(0));
    CHECK(watcher_->wait() == exited(0));
    hold_.signal(SIGTERM);
    CHECK(hold_.wait() == exited(0));
  }

  [[nodiscard]] Finished finish(std::initializer_list<std::string> words) const {
    return grex::test::finish(grex_lock(words), setup_);
  }
  [[nodiscard]] Process& job() { return job_; }
  [[nodiscard]] Process& hold() { return hold_; }
  void end_waiters() {
    for (auto* const process : {&*next_, &*watcher_}) {
      process->signal(SIGTERM);
      CHECK(process->wait() == exited(128 + SIGTERM));
    }
  }

 private:
  [[nodiscard]] Process start(std::initializer_list<std::string> words) const {
    return Process(grex_lock(words), setup_);
  }
  [[nodiscard]] std::string status() const { return finish({"status", "--json", "--name", "app", "/"}).out; }
  [[nodiscard]] int waiters() const { return status().find("\"position\":1") != std::string::npos ? 1 : 0; }
  // In whole seconds; -1 if it can't be asked now.
  [[nodiscard]] int lease_left() const {
    const std::string text = status();
    const auto at = text.find("\"lease_ms\":");
    const std::string number = at == std::string::npos ? "" : text.substr(at + sizeof "\"lease_ms\"");
    return number.empty() || number.starts_with("null") ? -1 : std::stoi(number) / 1000;
  }

  Setup setup_;
  Process job_;
  Process hold_;
  std::optional<Process> next_;
  std::optional<Process> watcher_;
  long token_ = 0;
};

}  // namespace

TEST_CASE("jobs, holds and waits go on if the leader is killed, or a follower is stopped") {
  EtcdCluster cluster;
  Jobs jobs(cluster);
  const std::size_t leader = cluster.leader();
  SUBCASE("killed") {
    cluster.kill(leader);
    jobs.until_renewed();
  }
  SUBCASE("stopped") {
    cluster.stop((leader + 1) % 3);
    jobs.until_renewed();
  }
  jobs.check_ends();
}

TEST_CASE("jobs, holds and waits go on if all nodes are restarted within the lease") {
  EtcdCluster cluster;
  Jobs jobs(cluster);
  for (std::size_t node = 0; node < 3; ++node) cluster.kill(node);
  for (std::size_t node = 0; node < 3; ++node) cluster.restart(node);
  cluster.until_healthy();
  jobs.until_renewed();
  jobs.check_ends();
}

TEST_CASE("with a minority of the nodes, jobs and holds are stopped, and no other one starts") {
  EtcdCluster cluster;
  Jobs jobs(cluster);
  cluster.kill(0);
  cluster.kill(1);
  CHECK(jobs.finish({"run", "-n", "--name", "another", "--", "true"}).ended == exited(68));
  CHECK(jobs.finish({"status", "--name", "app"}).ended == exited(68));
  CHECK(jobs.job().wait() == exited(79));
  CHECK(jobs.job().error_rest().find("the cluster has not answered for ") != std::string::npos);
  CHECK(jobs.hold().wait() == exited(79));
  jobs.end_waiters();
}
