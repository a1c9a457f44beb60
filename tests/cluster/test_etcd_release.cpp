// `release` of locks in a real etcd.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "cluster/etcd_site.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

pid_t holder_in(const std::string& announcement) { return std::stoi(announcement.substr(sizeof "pid")); }

// The holder of a lock that the cluster alone keeps.
Process start_job(const Site& site, const std::string& name) {
  Process job = site.start({"run", "--name", name, "--", "sh", "-c", "echo $GREX_LOCK_TOKEN; read line"});
  return job;
}

}  // namespace

TEST_CASE("release of a lock that another process has in the cluster names it, and ends nothing") {
  const Site site;
  Process job = start_job(site, "app");
  job.line();
  for (const std::string option : {"--if-held", "--verbose"}) {
    const Finished refused = site.finish({"release", option, "--name", "app"});
    CHECK(refused.ended == exited(69));
    CHECK(refused.err.starts_with("grex-lock: not released: app: held by pid " + std::to_string(job.pid())));
    CHECK(refused.err.find("\ngrex-lock: it is no hold that you can end; ") != std::string::npos);
  }
  CHECK(site.finish({"release", "--name", "other"}).ended == exited(69));
  CHECK(site.finish({"release", "--if-held", "--name", "other"}).ended == exited(0));
  job.close_input();
  CHECK(job.wait() == exited(1));
}

// SECURITY.md: in a cluster, write the id of another process, so that `release` ends it, or any other bytes | what
// others have written there is shown, escaped, and never chooses a process
TEST_CASE("what others have written into the cluster is shown, and ends no process") {
  const TempDir dir;
  const Site site;
  const Finished hold = finish(grex_lock({"hold", "--detach", "--for", "1m", "--cluster", "none", dir.path()}));
  REQUIRE(hold.ended == exited(0));
  const std::string pid = std::to_string(holder_in(hold.out));
  const std::string key = "/grex-lock/ci/per-pack/app/x/0000000000000007";
  for (const std::string& value : Words{"{\"pid\":" + pid + ",\"host\":\"\",\"verb\":\"hold\"}", "\033[2J",
                                        "{\"pid\":\"x\"}", "[]", "{", std::string(5000, 'x')}) {
    CAPTURE(value);
    (void)site.server().ctl({"put", key, "--", value});
    const Finished refused = site.finish({"release", "--name", "app"});
    CHECK(refused.ended == exited(69));
    CHECK(refused.err.find('\033') == std::string::npos);
    const Finished seen = site.finish({"status", "--name", "app", "/"});
    CHECK(seen.ended == exited(0));
    CHECK(seen.out.find("per-pack  held  app  in etcd ci\n") != std::string::npos);
    CHECK(seen.out.find('\033') == std::string::npos);
  }
  (void)site.server().ctl({"put", "/grex-lock/ci/per-pack/app/y/not a lease", "--", "x"});
  (void)site.server().ctl({"put", "/grex-lock/ci/no-such-tier/app/x/0000000000000007", "--", "x"});
  CHECK(site.finish({"status", "--cluster-all"}).ended == exited(0));
  CHECK(process_exists(std::stoi(pid)));
  reap(std::stoi(pid), SIGKILL);
}

TEST_CASE("release --force ends the job on another machine, only if its token is the one that was given") {
  const Site site;
  Process job = start_job(site, "app");
  const long token = std::stol(job.line());
  const Finished other = site.finish({"release", "--force", "--token", std::to_string(token + 1), "--name", "app"});
  CHECK(other.ended == exited(69));
  CHECK(other.err == "grex-lock: not released: app: no holder has the token " + std::to_string(token + 1) + "\n");
  const Finished broken = site.finish({"release", "--force", "--token", std::to_string(token), "--name", "app"});
  CHECK(broken.ended == exited(0));
  CHECK(broken.err.ends_with("\ngrex-lock: released: app (token " + std::to_string(token) + ")\n"));
  CHECK(broken.err.starts_with("grex-lock: asked to end: app: pid " + std::to_string(job.pid())));
  CHECK(job.wait() == exited(79));
  CHECK(job.error_rest().find("another process asked for it") != std::string::npos);
  CHECK(site.server().keys().empty());
  CHECK(site.finish({"release", "--force", "--name", "app"}).ended == exited(69));
  CHECK(site.finish({"release", "--force", "--if-held", "--name", "app"}).ended == exited(0));
}

TEST_CASE("release --force of a job whose machine does not respond warns that the job may still run") {
  const Site site;
  Process job = site.start({"run", "--lease", "10s", "--name", "app", "--", "sh", "-c", "echo; read line"});
  job.line();
  job.signal(SIGSTOP);
  pid_t command = 0;
  pid_t keeper = 0;
  for (const pid_t child : children_of(job.pid())) {
    (content_of("/proc/" + std::to_string(child) + "/comm") == "sh\n" ? command : keeper) = child;
  }
  REQUIRE(::kill(keeper, SIGSTOP) == 0);
  const Finished broken = site.finish({"release", "--force", "--json", "--name", "app"});
  CHECK(broken.ended == exited(0));
  CHECK(broken.err.ends_with("\ngrex-lock: warning: its grex-lock did not respond, so its job may still run\n"));
  CHECK(broken.out.find("\"responded\":false") != std::string::npos);
  CHECK(state_of(command) != ' ');
  ::kill(keeper, SIGCONT);
  job.signal(SIGCONT);
  CHECK(job.wait() == exited(79));
}

TEST_CASE("the next in line runs only when a job that was ended by force has ended") {
  const Site site;
  const TempDir dir;
  Process job = site.start({"run", "--name", "app", "--", "sh", "-c",
                            "trap 'echo cleaned >" + dir / "log" + "; exit 1' TERM; echo ready; read line"});
  CHECK(job.line() == "ready");
  Process next = site.start({"run", "--name", "app", "--", "cat", dir / "log"});
  until([&] { return site.server().keys().size() == 2; });
  CHECK(site.finish({"release", "--force", "--name", "app"}).ended == exited(0));
  CHECK(next.line() == "cleaned");
  CHECK(next.wait() == exited(0));
  CHECK(job.wait() == exited(79));
}

TEST_CASE("release by name leads on to the tier, the PATH or the token that it needs") {
  const TempDir root;
  const Site site(root.path());
  const std::string pack = root.make("pack");
  Process job =
      site.start({"run", "-t", "semaphore", "--slots", "2", "--name", "gpu", "--", "sh", "-c", "echo; read line"});
  job.line();
  for (const std::string option : {"--force", "--verbose"}) {
    const Finished refused = site.finish({"release", option, "--name", "gpu"});
    CHECK(refused.ended == exited(69));
    CHECK(refused.err.ends_with("\ngrex-lock: it is held at another tier: add -t semaphore\n"));
  }
  CHECK(site.finish({"release", "--if-held", "--name", "gpu"}).ended == exited(0));
  const Finished shared = site.finish({"release", "-t", "semaphore", "--name", "gpu"});
  CHECK(shared.err.find("; to end the job: add --force --token ") != std::string::npos);
  job.close_input();
  job.wait();

  const pid_t hold = holder_in(site.finish({"hold", "--detach", pack}).out);
  const Finished by_name = site.finish({"release", "--name", "pack"});
  CAPTURE(by_name.err);
  CHECK(by_name.ended == exited(69));
  CHECK(by_name.err.ends_with("\ngrex-lock: a hold of a PATH: grex-lock release " + pack + "\n"));
  CHECK(site.finish({"release", pack}).ended == exited(0));
  reap(hold);
}

TEST_CASE("of several sharers, --force needs the token of one, and JSON has it") {
  const Site site;
  Process first = site.start({"hold", "-s", "--name", "app"});
  first.line();
  Process second = site.start({"hold", "-s", "--name", "app"});
  second.line();
  const Finished unclear = site.finish({"release", "--force", "--name", "app"});
  CHECK(unclear.ended == exited(69));
  const auto at = unclear.err.find("choose one: --token ");
  REQUIRE(at != std::string::npos);
  const std::string token = std::to_string(std::stol(unclear.err.substr(at + sizeof "choose one: --token")));
  const Finished broken = site.finish({"release", "--force", "--json", "--token", token, "--name", "app"});
  CHECK(broken.ended == exited(0));
  CHECK(broken.out.find("\"token\":" + token + ",\"responded\":true") != std::string::npos);
  CHECK(first.wait() == exited(79));
  CHECK(site.server().keys().size() == 1);
  second.signal(SIGTERM);
  CHECK(second.wait() == exited(0));
}

TEST_CASE("a hold of a name alone is released by the stack that it exported, and no other one") {
  const Site site;
  const Finished started = site.finish({"hold", "--detach", "--export=env", "--name", "deploy"});
  REQUIRE(started.ended == exited(0));
  const std::string line = started.out.substr(0, started.out.size() - 1);
  const pid_t hold = std::stoi(line.substr(line.find("\"pid\":") + sizeof "\"pid\""));
  Setup step = site.setup();
  step.environment["GREX_LOCK_STACK"] = line.substr(line.find('=') + 1);
  CHECK(finish(grex_lock({"release", "--name", "other"}), step).ended == exited(69));
  CHECK(finish(grex_lock({"release", "--name", "deploy"}), step).ended == exited(0));
  ::waitpid(hold, nullptr, 0);
  CHECK(site.server().keys().empty());
  CHECK(finish(grex_lock({"release", "--name", "deploy"}), step).ended == exited(69));
}

TEST_CASE("a hold of a name alone is also released by its name, if it runs on this machine") {
  const Site site;
  std::vector<pid_t> holds;
  for (int i = 0; i < 2; ++i) {
    const Finished started = site.finish({"hold", "--detach", "-s", "--name", "deploy"});
    REQUIRE(started.ended == exited(0));
    holds.push_back(holder_in(started.out));
  }
  const Finished several = site.finish({"release", "--name", "deploy"});
  CHECK(several.ended == exited(69));
  CHECK(several.err.ends_with("\ngrex-lock: use --pid PID or --all\n"));
  CHECK(site.finish({"release", "--name", "deploy", "--pid", std::to_string(holds.back())}).ended == exited(0));
  CHECK(site.finish({"release", "--name", "deploy"}).ended == exited(0));
  for (const pid_t hold : holds) ::waitpid(hold, nullptr, 0);
  CHECK(site.server().keys().empty());
}

TEST_CASE("release ends a hold of this machine by its PATH, and asks the cluster only if there is none") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const Site site(dir.path());
  const Finished started = site.finish({"hold", "--detach", pack});
  REQUIRE(started.ended == exited(0));
  CHECK(site.finish({"release", pack}).ended == exited(0));
  ::waitpid(holder_in(started.out), nullptr, 0);
  site.until_no_key();
  Process job = start_job(site, "app");
  job.line();
  const Finished refused = site.finish({"release", pack});
  CHECK(refused.ended == exited(69));
  CHECK(refused.err.starts_with("grex-lock: not released: app: held by pid "));
  CHECK(site.finish({"release", "--force", pack}).ended == exited(0));
  CHECK(job.wait() == exited(79));
}

TEST_CASE("release of a PATH without a name in the cluster is a usage error, as run of it is, and ends nothing") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const Site site;
  Process job = start_job(site, "deploy");  // on another machine, it may be for this PATH
  job.line();
  const std::string refusal = site.finish({"run", pack, "--", "true"}).err;
  CHECK(refusal.starts_with("grex-lock: usage: " + pack + " has no name in the cluster\n"));
  for (const std::string option : {"-v", "--if-held", "--all"}) {
    const Finished refused = site.finish({"release", option, pack});
    CHECK(refused.ended == exited(64));
    CHECK(refused.err == refusal);
  }
  CHECK(site.finish({"release", "--cluster-root", pack, dir.path()}).ended == exited(64));
  const Finished named = site.finish({"release", "--name", "deploy", pack});
  CHECK(named.ended == exited(69));
  CHECK(named.err.starts_with("grex-lock: not released: deploy: held by pid "));
  CHECK(site.finish({"release", "--cluster", "none", pack}).ended == exited(69));
  job.close_input();
  CHECK(job.wait() == exited(1));
}

TEST_CASE("a hold of a PATH is released without its name by the stack that it exported, and by the line in status") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const Site site;
  const Finished exported = site.finish({"hold", "--detach", "--export=env", "--name", "deploy", pack});
  REQUIRE(exported.ended == exited(0));
  const std::string line = exported.out.substr(0, exported.out.size() - 1);
  Setup step = site.setup();
  step.environment["GREX_LOCK_STACK"] = line.substr(line.find('=') + 1);
  CHECK(finish(grex_lock({"release", pack}), step).ended == exited(0));
  ::waitpid(std::stoi(line.substr(line.find("\"pid\":") + sizeof "\"pid\"")), nullptr, 0);
  site.until_no_key();
  Process job = start_job(site, "deploy");
  job.line();
  const Finished late = finish(grex_lock({"release", pack}), step);
  CHECK(late.ended == exited(69));
  CHECK(late.err.starts_with("grex-lock: not released: deploy: held by pid "));
  job.close_input();
  CHECK(job.wait() == exited(1));

  const Finished hold = site.finish({"hold", "--detach", "--name", "deploy", pack});
  REQUIRE(hold.ended == exited(0));
  const std::string seen = site.finish({"status", "--name", "deploy", pack}).out;
  CHECK(seen.find("  to end it: grex-lock release --cluster none " + pack + "\n") != std::string::npos);
  CHECK(site.finish({"release", "--cluster", "none", pack}).ended == exited(0));
  ::waitpid(holder_in(hold.out), nullptr, 0);
  site.until_no_key();
}

TEST_CASE("--force is refused where it has no effect") {
  const TempDir dir;
  CHECK(run_tool({"release", "--force", dir.path()})
            .err.starts_with("grex-lock: usage: --force has no effect without a cluster\n"));
  const Site site;
  CHECK(site.finish({"release", "--force", dir.path()}).ended == exited(64));  // it has no name
  CHECK(site.finish({"release", "--token", "3", "--name", "app"}).err == "grex-lock: usage: --token needs --force\n");
  CHECK(site.finish({"release", "--force", "--token", "x", "--name", "app"}).ended == exited(64));
}
