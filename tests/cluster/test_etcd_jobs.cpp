// Jobs under locks of a real etcd, as users run them.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "cluster/etcd_site.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

using namespace grex::test;

TEST_CASE("of thirty jobs on one name, one at a time runs, and their tokens rise in the order in which they run") {
  const Site site;
  const TempDir dir;
  const std::string log = dir / "log";
  // A job that begins before the one before has ended would be seen between its two lines.
  const std::string script = "echo begin $GREX_LOCK_TOKEN >>" + log + "; echo end $GREX_LOCK_TOKEN >>" + log;
  std::vector<Process> jobs;
  for (int i = 0; i < 30; ++i) jobs.push_back(site.start({"run", "-q", "--name", "app", "--", "sh", "-c", script}));
  for (Process& job : jobs) CHECK(job.wait() == exited(0));
  std::istringstream lines(content_of(log));
  std::string begin;
  std::string end;
  long last = 0;
  int count = 0;
  for (; std::getline(lines, begin) && std::getline(lines, end); ++count) {
    const long token = std::stol(begin.substr(sizeof "begin"));
    CHECK(end == "end " + std::to_string(token));
    CHECK(token > last);
    last = token;
  }
  CHECK(count == 30);
  site.until_no_key();
}

TEST_CASE("a busy lock is reported with its holder, and not with those that wait, however many") {
  const Site site;
  Process job = site.start({"run", "--name", "app", "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(job.line() == "ready");
  Process waiter = site.start({"run", "-q", "--name", "app", "--", "true"});
  until([&] { return site.server().keys().size() == 2; });
  const std::string held = "app: held by pid " + std::to_string(job.pid());
  const auto check = [&](std::initializer_list<std::string> words, const std::string& what) {
    const Finished busy = site.finish(words);
    CHECK(busy.ended == exited(75));
    CHECK(busy.err.starts_with("grex-lock: " + what + ": " + held));
    CHECK(busy.err.find(" more") == std::string::npos);
  };
  check({"run", "-n", "--name", "app", "--", "true"}, "busy");
  check({"probe", "--name", "app"}, "busy");
  const std::string json = site.finish({"probe", "--json", "--name", "app"}).out;
  CHECK(json.find("\"holders\":[{\"pid\":" + std::to_string(job.pid()) + ",") != std::string::npos);
  CHECK(json.find("\"role\"") == json.rfind("\"role\""));
  for (int i = 0; i < 8; ++i) {
    (void)site.server().ctl({"put", "/grex-lock/ci/per-pack/app/x/000000000000000" + std::to_string(i), "--", "x"});
  }
  check({"run", "-w", "0.2", "--name", "app", "--", "true"}, "timed out after 0.2s");
  check({"wait", "-w", "0.2", "--name", "app"}, "timed out after 0.2s");
  job.close_input();
  CHECK(job.wait() == exited(0));
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("jobs on two hosts exclude each other by name, wherever their packs are, and name each other's host") {
  const TempDir dir;
  const Site site(dir.make("a"));
  if (!can_unshare()) return skip("no other host name can be set");
  dir.make("a/app");
  dir.make("b/app");
  Process first(on_host("build7", grex_lock() + " run " + dir / "a/app" + " -- sh -c 'echo ready; read line; exit 0'"),
                site.setup());
  CHECK(first.line() == "ready");
  const std::string elsewhere = grex_lock() + " run -n --cluster-root " + dir / "b" + " " + dir / "b/app" + " -- true";
  const Finished busy = finish(on_host("build9", elsewhere), site.setup());
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find("busy: app: held by pid ") != std::string::npos);
  CHECK(busy.err.find(" on build7") != std::string::npos);
  first.close_input();
  CHECK(first.wait() == exited(0));
  CHECK(finish(on_host("build9", elsewhere), site.setup()).ended == exited(0));
}

TEST_CASE("a guard is taken on this machine, and shared locks are in the cluster") {
  const TempDir dir;
  const std::string pack = dir.make("ws/app");
  dir.make("ws/.grex");
  write_file(dir / "ws/.grex/pack.yaml", "");
  const Site site(dir / "ws");
  Process first = site.start({"run", "-s", "--guard", pack, "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(first.line() == "ready");
  Process second = site.start({"run", "-s", "--guard", pack, "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(second.line() == "ready");
  CHECK(is_locked(dir / "ws/.grex.sync.lock"));
  CHECK(site.server().keys().size() == 2);  // of the pack
  CHECK(site.finish({"probe", "-s", "--name", "app"}).ended == exited(0));
  CHECK(site.finish({"probe", "--name", "app"}).ended == exited(75));
  for (Process* const job : {&first, &second}) {
    job->close_input();
    CHECK(job->wait() == exited(0));
  }
}

TEST_CASE("a hold in the background excludes a job on another host, until it is released") {
  if (!can_unshare()) return skip("no other host name can be set");
  const TempDir dir;
  const std::string here = dir.make("a/app");
  const std::string there = dir.make("b/app");
  const Site site(dir / "a");
  const std::string other = grex_lock() + " run -n --cluster-root " + dir / "b" + " " + there + " -- true";
  const Finished hold = site.finish({"hold", "--detach", here});
  REQUIRE(hold.ended == exited(0));
  const Finished busy = finish(on_host("builder", other), site.setup());
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find(hold.out.substr(0, hold.out.find(" holds"))) != std::string::npos);
  CHECK(site.finish({"release", here}).ended == exited(0));
  ::waitpid(std::stoi(hold.out.substr(sizeof "pid")), nullptr, 0);
  site.until_no_key();
  CHECK(finish(on_host("builder", other), site.setup()).ended == exited(0));
}

TEST_CASE("a job on a host whose clock is an hour ahead holds its lock, and waits for that of others") {
  const Site site;
  const TempDir host;
  std::filesystem::copy_file(grex_lock(), host / "grex-lock");
  const std::string keeper = std::filesystem::path(grex_lock()).parent_path() / "grex-lock-etcd";
  write_file(host / "grex-lock-etcd", "#!/bin/sh\nLD_PRELOAD=" CLOCK_AHEAD " exec " + keeper + "\n");
  std::filesystem::permissions(host / "grex-lock-etcd", std::filesystem::perms::owner_all);
  const Words job = grex_lock({"run", "--name", "app", "--", "sh", "-c", "echo $GREX_LOCK_TOKEN; read line"});
  Words ahead = job;
  ahead.front() = host / "grex-lock";
  Process first(ahead, site.setup());
  const long token = std::stol(first.line());
  Process second(job, site.setup());
  until([&] { return site.server().keys().size() == 2; });
  Process third(ahead, site.setup());
  until([&] { return site.server().keys().size() == 3; });
  first.close_input();
  CHECK(first.wait() == exited(1));
  const long next_token = std::stol(second.line());
  CHECK(next_token > token);
  second.close_input();
  CHECK(second.wait() == exited(1));
  CHECK(std::stol(third.line()) > next_token);
  third.close_input();
  CHECK(third.wait() == exited(1));
}

TEST_CASE("jobs with several locks in any order of their names don't deadlock") {
  const TempDir dir;
  const Site site(dir.path());
  std::vector<std::string> packs;
  for (const std::string name : {"a", "a/b", "%", "\xc3\xa9", "a b"}) packs.push_back(dir.make(name));
  std::vector<Process> jobs;
  for (int i = 0; i < 6; ++i) {
    std::rotate(packs.begin(), packs.begin() + 1, packs.end());
    Words words = grex_lock({"run", "-q", packs[0], packs[1], packs[2], packs[3], packs[4]});
    words.insert(words.end(), {"-l", "manifest:" + packs[i % 5], "--", "sh", "-c", "echo $GREX_LOCK_TOKENS"});
    jobs.emplace_back(words, site.setup());
  }
  for (Process& job : jobs) {
    CHECK(job.line().find(R"("name":"a/b")") != std::string::npos);
    CHECK(job.wait() == exited(0));
  }
  site.until_no_key();
}

TEST_CASE("a signal ends a wait, which leaves no key") {
  const Site site;
  Process holder = site.start({"run", "--name", "app", "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(holder.line() == "ready");
  Process waiter = site.start({"run", "-q", "--name", "app", "--", "true"});
  until([&] { return site.server().keys().size() == 2; });
  waiter.signal(SIGTERM);
  CHECK(waiter.wait() == exited(128 + SIGTERM));
  CHECK(site.server().keys().size() == 1);
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  site.until_no_key();
}

TEST_CASE("a job that Ctrl-Z stops while it waits does not get the lock, and queues again when it goes on") {
  const Site site;
  Process holder = site.start({"run", "--name", "app", "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(holder.line() == "ready");
  Setup setup = site.setup();
  setup.before_exec = [] { ::setpgid(0, 0); };  // of an orphaned group, none stops
  Process waiter(grex_lock({"run", "-q", "--name", "app", "--", "echo", "mine"}), setup);
  until([&] { return site.server().keys().size() == 2; });
  waiter.signal(SIGTSTP);
  until([&] { return state_of(waiter.pid()) == 'T'; });
  CHECK(site.server().keys().size() == 1);
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  CHECK(site.finish({"run", "-n", "--name", "app", "--", "true"}).ended == exited(0));
  waiter.signal(SIGCONT);
  CHECK(waiter.line() == "mine");
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("probe and wait look at this machine and at the cluster, and make nothing") {
  const TempDir dir;
  const Site site(dir.path());
  const std::string pack = dir.make("app");
  CHECK(site.finish({"probe", pack}).ended == exited(0));
  CHECK(site.finish({"wait", pack}).ended == exited(0));
  CHECK(site.server().keys().empty());
  CHECK_FALSE(exists(pack + "/.grex-lock"));
  Process holder = site.start({"run", "--name", "app", "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(holder.line() == "ready");
  CHECK(site.finish({"probe", "--cluster", "none", pack}).ended == exited(0));
  CHECK(site.finish({"probe", pack}).ended == exited(75));
  CHECK(site.finish({"wait", "-n", pack}).ended == exited(75));
  Process waiter = site.start({"wait", "-v", pack});
  CHECK(waiter.error_line().find("waiting for app: held by ") != std::string::npos);
  CHECK(site.server().keys().size() == 1);
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("as many jobs as there are slots in the cluster run, each with a slot of this machine, too") {
  const TempDir dir;
  const Site site(dir.path());
  const std::string workspace = dir.make("ws");
  const auto job = [&] {
    return site.start(
        {"run", "-q", "-t", "semaphore", "--slots", "2", workspace, "--", "sh", "-c", "echo ready; read line; exit 0"});
  };
  Process first = job();
  Process second = job();
  CHECK(first.line() == "ready");
  CHECK(second.line() == "ready");
  const auto third = [&](std::initializer_list<std::string> where) {
    Words words = grex_lock({"run", "-n", "-t", "semaphore", "--slots", "2"});
    words.insert(words.end(), where);
    words.insert(words.end(), {"--", "true"});
    return finish(words, site.setup()).ended;
  };
  CHECK(third({workspace}) == exited(75));
  CHECK(third({"--name", "ws"}) == exited(75));  // from another machine
  first.close_input();
  CHECK(first.wait() == exited(0));
  CHECK(third({"--name", "ws"}) == exited(0));
  second.close_input();
  CHECK(second.wait() == exited(0));
}

TEST_CASE("a cluster that doesn't answer is not busy, and nothing runs") {
  const TempDir dir;
  const std::string url = "etcd://127.0.0.1:" + std::to_string(free_port()) + "/ci";
  for (const std::string command : {"run", "probe", "wait"}) {
    CAPTURE(command);
    Words words = grex_lock({command, "--cluster", url, "--name", "app"});
    if (command == "run") words.insert(words.end(), {"-n", "--", "touch", dir / "ran"});
    if (command == "wait") words.insert(words.end(), {"-w", "0.1"});
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(68));
    CHECK(finished.err.starts_with("grex-lock: cluster unreachable: " + url + ": "));
  }
  CHECK_FALSE(exists(dir / "ran"));
  reap_keepers();
}

TEST_CASE("while the cluster does not answer, a waiter says so instead of naming a holder") {
  const Site site;
  Process holder = site.start({"run", "--lease", "60s", "--name", "app", "--", "sh", "-c", "echo; read line"});
  holder.line();
  Terminal waiter(grex_lock({"run", "--lease", "10s", "--name", "app", "--", "true"}), site.setup());
  waiter.expect("held by pid " + std::to_string(holder.pid()));
  site.server().stop();
  waiter.expect("for app: the cluster has not answered for ");
  site.server().go_on();
  waiter.expect("held by pid " + std::to_string(holder.pid()));
  holder.close_input();
  CHECK(holder.wait() == exited(1));
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("below a lock with files in the cluster, the same one is refused, or passed with --reentrant") {
  const TempDir dir;
  const Site site(dir.path());
  const std::string pack = dir.make("app");
  const auto status_below = [&](const std::string& inner) {
    return site.finish({"run", pack, "--", "sh", "-c", grex_lock() + " " + inner}).ended;
  };
  CHECK(status_below("run --reentrant " + pack + " -- true") == exited(0));
  CHECK(status_below("wait --reentrant " + pack) == exited(0));
  CHECK(status_below("probe --reentrant " + pack) == exited(0));
  CHECK(status_below("run " + pack + " -- true") == exited(75));
}

TEST_CASE("a wait for a file after a lock of the cluster begins again, and gets all") {
  const TempDir dir;
  const Site site(dir.path());
  dir.make("ws/app/.grex");
  Process holder({"flock", dir / "ws/app/.grex/.grex-lock", "sh", "-c", "echo ready; read line"});
  CHECK(holder.line() == "ready");
  Process job(grex_lock({"run", "-q", "-l", "workspace-sync:" + dir / "ws", "-l", "per-pack:" + dir / "ws/app", "--",
                         "sh", "-c", "echo $GREX_LOCK_TOKENS"}),
              site.setup());
  until([&] { return waiters_on(dir / "ws/app/.grex/.grex-lock") == 1; });
  CHECK(site.server().keys().size() == 1);
  holder.close_input();
  holder.wait();
  CHECK(job.line().find(R"("name":"ws/app")") != std::string::npos);
  CHECK(job.wait() == exited(0));
  site.until_no_key();
}

TEST_CASE("if the lock file is replaced while a wait for the cluster lasts, all is taken again") {
  const TempDir dir;
  const Site site(dir.path());
  const std::string pack = dir.make("app");
  Process holder = site.start({"run", "--name", "app", "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(holder.line() == "ready");
  Process job = site.start({"run", "-q", pack, "--", "true"});
  until([&] { return site.server().keys().size() == 2; });
  REQUIRE(::unlink((pack + "/.grex-lock").c_str()) == 0);
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  CHECK(job.wait() == exited(0));
  CHECK(exists(pack + "/.grex-lock"));
  site.until_no_key();
}

TEST_CASE("a job that has lost its first lock while it waits for the second one takes both again") {
  const TempDir dir;
  const Site site(dir.path());
  dir.make("ws/app");
  Process holder = site.start({"run", "--name", "ws/app", "--", "sh", "-c", "echo ready; read line; exit 0"});
  CHECK(holder.line() == "ready");
  Process job = site.start({"run", "-q", "-l", "workspace-sync:" + dir / "ws", "-l", "per-pack:" + dir / "ws/app", "--",
                            "sh", "-c", "echo $GREX_LOCK_TOKENS"});
  until([&] { return site.server().keys().size() == 3; });
  for (const std::string& key : site.server().keys()) {
    if (key.find("workspace-sync") != std::string::npos) (void)site.server().ctl({"del", key});
  }
  until([&] { return site.server().keys().size() == 3; });  // it queues again
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  CHECK(job.line().find(R"("tier":"workspace-sync")") != std::string::npos);
  CHECK(job.wait() == exited(0));
  site.until_no_key();
}
