// What happens to the processes under a cluster's lock, and to the lock, if one of them, grex-lock
// or the keeper is killed or stopped.

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>

#include "cluster/fake_cluster.hpp"
#include "support/terminal.hpp"

using namespace grex::test;

namespace {

// A script that starts a stray, prints its own PID, and waits.
std::string command_with_stray() { return stray() + "echo $$; read -r line; exit 0"; }

// Waits until a process that is not our child has ended, or is our child and has been reaped.
void until_ended(pid_t pid) {
  until([pid] { return state_of(pid) == ' ' || state_of(pid) == 'Z'; });
}

}  // namespace

TEST_CASE("if grex-lock is killed, so is its command, and the lock lasts until its descendants have ended") {
  const FakeCluster cluster;
  Process tool(cluster.run(command_with_stray()));
  const pid_t first = std::stoi(tool.line());
  const pid_t second = std::stoi(tool.line());
  cluster.until_noted();
  tool.signal(SIGKILL);
  CHECK(tool.wait() == killed_by(SIGKILL));
  until([&] { return state_of(first) == 'Z' || state_of(second) == 'Z'; });
  const pid_t command = state_of(first) == 'Z' ? first : second;
  const pid_t left = command == first ? second : first;
  reap(command);
  cluster.until_noted();  // the keeper goes on
  CHECK(cluster.log("ended").empty());
  reap(left, SIGKILL);
  cluster.until_keeper_ended();
  CHECK(cluster.log("released").size() == 1);
}

TEST_CASE("if grex-lock is killed and the lease can't be renewed, the keeper ends what the command left") {
  const FakeCluster cluster;
  Process tool(cluster.run(command_with_stray()));
  const pid_t first = std::stoi(tool.line());
  const pid_t second = std::stoi(tool.line());
  cluster.until_noted();
  tool.signal(SIGKILL);
  CHECK(tool.wait() == killed_by(SIGKILL));
  cluster.set("unrenewed");
  reap(first);
  reap(second);
  cluster.until_keeper_ended();
}

TEST_CASE("if the keeper is killed, another one goes on with the lease and the token") {
  const FakeCluster cluster;
  Process tool(cluster.run("echo $GREX_LOCK_TOKEN; read -r line; exit 3"));
  const std::string token = tool.line();
  cluster.until_noted();
  ::kill(cluster.keeper(), SIGKILL);
  until([&] { return cluster.log("started").size() == 2; });
  until([&] { return cluster.log("{\"request\":\"adopt\"").size() == 1; });
  CHECK(cluster.log("{\"request\":\"adopt\"").front().find("\"token\":" + token) != std::string::npos);
  cluster.until_noted();
  tool.close_input();
  CHECK(tool.wait() == exited(3));
  CHECK(tool.error_rest().empty());
  cluster.until_keeper_ended();
}

TEST_CASE("a wait goes on if its keeper is killed, also again, but not if every one ends immediately") {
  const FakeCluster cluster("acquire wait\n");
  Process tool(cluster.run("exit 0"));
  for (std::size_t keepers = 1; keepers <= 3; ++keepers) {
    until([&] { return cluster.log("waiting").size() == keepers; });
    if (keepers == 3) break;
    // One that ends sooner is not replaced.
    const auto start = std::chrono::steady_clock::now();
    until([&] { return std::chrono::steady_clock::now() > start + std::chrono::milliseconds(1100); });
    ::kill(cluster.keeper(), SIGKILL);
  }
  cluster.set("grant");
  CHECK(tool.wait() == exited(0));
  cluster.until_keeper_ended();

  const FakeCluster broken("exit 1\n");
  Process refused(broken.run("exit 0"));
  CHECK(refused.wait() == exited(78));
  CHECK(broken.log("started").size() == 2);
}

TEST_CASE("if the keeper is stopped, grex-lock ends the command and its descendants before the lease ends") {
  const FakeCluster cluster;
  Process tool(cluster.run(command_with_stray()));
  const pid_t first = std::stoi(tool.line());
  const pid_t second = std::stoi(tool.line());
  cluster.until_noted();
  const pid_t keeper = cluster.keeper();
  ::kill(keeper, SIGSTOP);
  CHECK(tool.wait() == exited(79));
  CHECK(state_of(first) == ' ');
  CHECK(state_of(second) == ' ');
  CHECK(tool.error_rest().starts_with("grex-lock: lost: app: the cluster has not answered for "));
  reap(keeper, SIGKILL);
}

TEST_CASE("if grex-lock and the server are stopped, the keeper ends the command and its descendants") {
  const FakeCluster cluster;
  Process tool(cluster.run(command_with_stray()));
  const pid_t first = std::stoi(tool.line());
  const pid_t second = std::stoi(tool.line());
  cluster.until_noted();
  tool.signal(SIGSTOP);
  cluster.set("unrenewed");
  until_ended(first);
  until_ended(second);
  tool.signal(SIGCONT);
  CHECK(tool.wait() == exited(79));
  cluster.until_keeper_ended();
}

TEST_CASE("a stopped command is ended, too, if the lock is lost") {
  const FakeCluster cluster;
  Process tool(cluster.run("echo $$; kill -STOP $$; exit 0"));
  const pid_t command = std::stoi(tool.line());
  until([&] { return state_of(command) == 'T'; });
  cluster.until_noted();  // the keeper goes on renewing
  CHECK(cluster.log("lost").empty());
  cluster.set("unrenewed");
  CHECK(tool.wait() == exited(79));
  cluster.until_keeper_ended();
}

TEST_CASE("a command that handles SIGTERM can clean up, and grex-lock exits with 79 even so") {
  const FakeCluster cluster("ttl_ms 60000\n");
  Process tool(cluster.run("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do read -r -t 1 line; done"));
  CHECK(tool.line() == "ready");
  cluster.set("lost", "asked");
  CHECK(tool.line() == "cleaned");
  CHECK(tool.wait() == exited(79));
  CHECK(tool.error_rest().find("another process asked for it") != std::string::npos);
  cluster.until_keeper_ended();
}

TEST_CASE("if the cluster has ended the lease or the key is gone, the command is killed immediately") {
  for (const std::string reason : {"expired", "deleted"}) {
    CAPTURE(reason);
    const FakeCluster cluster("ttl_ms 60000\n");
    Process tool(cluster.run("trap '' TERM; echo $$; read -r line"));
    const pid_t command = std::stoi(tool.line());
    cluster.set("lost", reason);
    CHECK(tool.wait() == exited(79));
    CHECK(state_of(command) == ' ');
    cluster.until_keeper_ended();
  }
}

TEST_CASE("a daemon that the command leaves behind lives on, without the lock") {
  const FakeCluster cluster;
  Process tool(cluster.run(stray() + "wait_for=$!; exit 0"));
  const pid_t daemon = std::stoi(tool.line());
  CHECK(tool.wait() == exited(0));
  CHECK(tool.error_rest().empty());
  cluster.until_keeper_ended();
  CHECK(process_exists(daemon));
  reap(daemon, SIGKILL);
}

TEST_CASE("if a signal kills the command, grex-lock keeps the lock until what it left has ended") {
  const FakeCluster cluster;
  Process tool(cluster.run("exec 3<&0; sh -c 'echo $$; read -r line' <&3 & wait"));
  const pid_t work = std::stoi(tool.line());
  tool.signal(SIGTERM);
  const std::string line = tool.error_line();
  CHECK(line.find("CMD left processes running: pid " + std::to_string(work)) != std::string::npos);
  cluster.until_noted();
  CHECK(cluster.log("released").empty());
  tool.close_input();
  CHECK(tool.wait() == exited(128 + SIGTERM));
  cluster.until_keeper_ended();
}

TEST_CASE("a job that Ctrl-Z stops keeps its lock beyond the lease") {
  const FakeCluster cluster;
  Terminal shell({"bash", "--norc", "-i"});
  shell.type("PS1='$ '; set +H\n");
  shell.type(
      cluster.tool() +
      " run --cluster etcd://localhost/ci --name app -- bash -c 'echo pid $$ rea\"\"dy; read -r line; exit 4'\n");
  const std::string before = shell.expect(" ready");
  const pid_t command = std::stoi(before.substr(before.rfind("pid ") + 4));
  shell.type(ctrl_z);
  shell.expect("Stopped");
  for (int thirds = 0; thirds < 4; thirds += 2) cluster.until_noted();
  CHECK(cluster.log("lost").empty());
  shell.type("fg\n");
  until([command] { return state_of(command) == 'S'; });
  shell.type("\n");
  shell.expect("$ ");
  shell.type("echo status $?\n");
  shell.expect("status 4");
  cluster.until_keeper_ended();
  shell.type("exit\n");
  shell.rest();
}

TEST_CASE("a command is not started if its lock is lost before that") {
  for (const std::string reason : {"asked", "expired", "deleted"}) {
    CAPTURE(reason);
    const FakeCluster cluster("acquire wait\nttl_ms 60000\n");
    Process tool(cluster.run("echo started"));
    until([&] { return !cluster.log("waiting").empty(); });
    tool.signal(SIGSTOP);
    until([&] { return state_of(tool.pid()) == 'T'; });
    cluster.set("grant");
    until([&] { return !cluster.log("held").empty(); });
    cluster.set("lost", reason);
    until([&] { return !cluster.log("lost").empty() || !cluster.log("ended").empty(); });
    tool.signal(SIGCONT);
    CHECK(tool.wait() == exited(79));
    CHECK(tool.rest().empty());
    CHECK(tool.error_rest().find("CMD was not started") != std::string::npos);
  }
}

TEST_CASE("if nobody has asked the command to end, the lock lasts until all of its descendants have, in any session") {
  const FakeCluster cluster;
  Process tool(cluster.run(stray() + "read -r line; echo $$; read -r line"));
  const pid_t daemon = std::stoi(tool.line());
  tool.write("\n");
  const pid_t command = std::stoi(tool.line());
  ::kill(command, SIGKILL);
  const std::string line = tool.error_line();
  CAPTURE(line);
  CHECK(line.find("CMD left processes running: pid " + std::to_string(daemon)) != std::string::npos);
  cluster.until_noted();
  CHECK(cluster.log("released").empty());
  ::kill(daemon, SIGKILL);
  CHECK(tool.wait() == exited(128 + SIGKILL));
  cluster.until_keeper_ended();
}

TEST_CASE("a daemon in another session is not waited for if the command was asked to end") {
  const FakeCluster cluster;
  Process tool(cluster.run(stray() + "read -r line"));
  const pid_t daemon = std::stoi(tool.line());
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  cluster.until_keeper_ended();
  CHECK(process_exists(daemon));
  reap(daemon, SIGKILL);
}

TEST_CASE("what the processes of a killed command start is waited for, too") {
  const FakeCluster cluster;
  write_file(cluster / "first.sh", "exec 3<&0\necho $$\nread -r line\nsh " + cluster / "second.sh" + " <&3 &\n");
  write_file(cluster / "second.sh", "echo $$\nread -r line\n");
  Process tool(cluster.run("exec 3<&0; sh " + cluster / "first.sh" + " <&3 & wait"));
  tool.line();
  tool.signal(SIGTERM);
  CHECK(tool.error_line().find("CMD left processes running") != std::string::npos);
  tool.write("\n");  // the first one ends
  const pid_t second = std::stoi(tool.line());
  cluster.until_noted();
  CHECK(state_of(second) == 'S');
  CHECK(cluster.log("released").empty());
  tool.close_input();
  CHECK(tool.wait() == exited(128 + SIGTERM));
  cluster.until_keeper_ended();
}
