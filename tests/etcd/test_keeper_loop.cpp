// What every keeper does, with an engine that obeys the test.

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "base/boot_clock.hpp"
#include "etcd/keeper_client.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using namespace std::chrono_literals;
using test::KeeperClient;

namespace {

// The directory of a fake keeper.
class Fake {
 public:
  explicit Fake(const std::string& script = "ttl_ms 6000\n") {
    const auto built = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "fake_keeper";
    std::filesystem::copy_file(built, program());
    test::write_file(dir_ / "script", script);
  }
  [[nodiscard]] std::string program() const { return dir_ / "grex-lock-etcd"; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return dir_ / name; }

  [[nodiscard]] std::size_t count(const std::string& line) const {
    const std::string log = "\n" + test::content_of(dir_ / "log");
    std::size_t found = 0;
    for (std::size_t at = 0; (at = log.find("\n" + line + "\n", at)) != std::string::npos; ++at) ++found;
    return found;
  }

  // Waits until the keeper has noted all processes that run now: it does so as often as it renews.
  void wait_for_note() const {
    const std::size_t before = count("renewed");
    test::until([&] { return count("renewed") >= before + 3; });
  }

 private:
  test::TempDir dir_;
};

const core::ClusterPlace place = {{"http://127.0.0.1:1"}, "ci", 10s};
const core::ClusterLock app = {core::Tier::per_pack, "app", sys::Mode::exclusive, 0, "{}"};

core::HeldReport acquire(KeeperClient& client) {
  client.send(core::AcquireRequest{1, place, 30s, core::IfBusy::wait, {app}});
  return client.expect<core::HeldReport>();
}

// A command with a child in a session of its own, which has closed the liveness pipe if `pipe`
// is "6>&-". Returns the child once it runs.
pid_t run_with_daemon(KeeperClient& client, const Fake& fake, const std::string& pipe) {
  const std::string file = fake / "daemon";
  client.run("setsid sh -c 'echo $$ >" + file + ".new; mv " + file + ".new " + file + "; exec sleep 1000' " + pipe +
             " & trap '' TERM; while :; do sleep 1000; done");
  test::until([&] { return test::exists(file); });
  return std::stoi(test::content_of(file));
}

}  // namespace

TEST_CASE("a lock is held, renewed and released, and the keeper ends with its socket") {
  const Fake fake;
  KeeperClient client(fake.program());
  const std::uint64_t before = boot_clock_now();
  const auto held = acquire(client);
  CHECK(held.ttl == 6s);
  CHECK(held.keys.front().token == 7);
  const std::uint64_t deadline = client.deadline();
  CHECK(deadline >= before + 6'000'000'000);
  test::until([&] { return client.deadline() > deadline; });
  client.send(core::ReleaseRequest{});
  CHECK(client.expect<core::ReleasedReport>().ok);
  client.close();
  client.wait_for_keeper();
  CHECK(fake.count("ended") == 1);
}

TEST_CASE("a keeper does not end at the signals by which people end processes") {
  const Fake fake;
  KeeperClient client(fake.program());
  acquire(client);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) ::kill(client.keeper(), signal);
  client.send(core::ReleaseRequest{});
  CHECK(client.expect<core::ReleasedReport>().ok);
}

TEST_CASE("the lock of a grex-lock that was killed is kept until the last process has closed the pipe") {
  const Fake fake("ttl_ms 2000\n");
  KeeperClient client(fake.program());
  acquire(client);
  const pid_t daemon = run_with_daemon(client, fake, "");
  client.kill_caller();
  fake.wait_for_note();
  CHECK(fake.count("released") == 0);
  test::reap(daemon, SIGKILL);
  client.wait_for_keeper();
  CHECK(fake.count("released") == 1);
}

TEST_CASE("the lock of a grex-lock that was killed is kept until a noted process that closed the pipe has ended") {
  const Fake fake("ttl_ms 2000\n");
  KeeperClient client(fake.program());
  acquire(client);
  const pid_t daemon = run_with_daemon(client, fake, "6>&-");
  fake.wait_for_note();
  client.kill_caller();
  fake.wait_for_note();
  CHECK(fake.count("released") == 0);
  test::reap(daemon, SIGKILL);
  client.wait_for_keeper();
  CHECK(fake.count("released") == 1);
}

// These must let a lease of six seconds run out.
TEST_CASE("a lease that can't be renewed is lost, and the command is killed before its end") {
  const Fake fake;
  KeeperClient client(fake.program());
  acquire(client);
  const pid_t daemon = run_with_daemon(client, fake, "6>&-");
  bool is_caller_there = true;
  SUBCASE("if grex-lock is stopped") { client.stop_caller(); }
  SUBCASE("if grex-lock does nothing") {}
  SUBCASE("if grex-lock was killed") {
    fake.wait_for_note();
    client.kill_caller();
    is_caller_there = false;
  }
  test::write_file(fake / "unrenewed", "");
  if (is_caller_there) {
    const auto lost = client.expect<core::LostReport>();
    CHECK(lost.reason == core::LossReason::unanswered);
    CHECK(lost.why == "fake: no answer");
    CHECK(boot_clock_now() < client.deadline());
  }
  test::reap(daemon);
  CHECK(boot_clock_now() < client.deadline());
  if (is_caller_there) client.kill_caller();
  client.wait_for_keeper();
}

TEST_CASE("the command is killed as soon as the cluster says that its lock is gone") {
  const Fake fake("ttl_ms 60000\n");
  KeeperClient client(fake.program());
  acquire(client);
  const pid_t daemon = run_with_daemon(client, fake, "");
  test::write_file(fake / "lost", "deleted");
  CHECK(client.expect<core::LostReport>().reason == core::LossReason::deleted);
  test::reap(daemon);
}

TEST_CASE("if another process asks for the lock of a grex-lock that was killed, what is left gets SIGTERM") {
  const Fake fake("ttl_ms 60000\n");
  KeeperClient client(fake.program());
  acquire(client);
  const pid_t daemon = run_with_daemon(client, fake, "");
  client.kill_caller();
  test::write_file(fake / "lost", "asked");
  test::reap(daemon);
  client.wait_for_keeper();
  CHECK(fake.count("released") == 1);
}

// The keeper gives grex-lock eleven seconds.
TEST_CASE("if another process asks for the lock of a grex-lock that is stopped, the lock is released all the same") {
  const Fake fake("ttl_ms 60000\n");
  KeeperClient client(fake.program());
  acquire(client);
  const pid_t daemon = run_with_daemon(client, fake, "6>&-");
  client.stop_caller();
  test::write_file(fake / "lost", "asked");
  CHECK(client.expect<core::LostReport>().reason == core::LossReason::asked);
  test::until([&] { return fake.count("released") == 1; });
  client.send(core::ReleaseRequest{});
  CHECK(client.expect<core::ReleasedReport>().ok);
  client.kill_caller();
  test::reap(daemon);
}

TEST_CASE("a grex-lock that is killed while it waits leaves nothing behind") {
  const Fake fake("acquire wait\n");
  KeeperClient client(fake.program());
  client.send(core::AcquireRequest{1, place, 30s, core::IfBusy::wait, {app}});
  CHECK(client.expect<core::WaitingReport>().position == 1);
  client.kill_caller();
  client.wait_for_keeper();
  CHECK(fake.count("released") == 1);
}

TEST_CASE("a keeper adopts the lock of one that was killed, and kills its command if it is lost") {
  const Fake fake;
  KeeperClient first(fake.program());
  const auto held = acquire(first);
  ::kill(first.keeper(), SIGKILL);
  KeeperClient second(fake.program(), {}, first);
  second.send(core::AdoptRequest{1, place, held.ttl, held.lease, held.keys});
  CHECK(second.expect<core::HeldReport>().keys.front().token == held.keys.front().token);
  const pid_t daemon = run_with_daemon(second, fake, "");
  test::write_file(fake / "lost", "expired");
  CHECK(second.expect<core::LostReport>().reason == core::LossReason::expired);
  test::reap(daemon);
}

TEST_CASE("what is not understood is refused, and the lock stays") {
  const Fake fake;
  KeeperClient client(fake.program());
  client.send(core::AcquireRequest{2, place, 30s, core::IfBusy::wait, {app}});
  CHECK(client.expect<core::FailedReport>().kind == core::ClusterFault::cluster_config);
  acquire(client);
  client.send(core::StartedRequest{1});
  CHECK(client.expect<core::FailedReport>().kind == core::ClusterFault::internal);
  client.send(core::ReleaseRequest{});
  CHECK(client.expect<core::ReleasedReport>().ok);
}
