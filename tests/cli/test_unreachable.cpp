// A working directory to which no path leads: below a directory that may not be entered, or
// with a path that is longer than the kernel allows. flock(1) works there.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

constexpr unsigned user = 65533;

// `closed/ws/app`, of which only root may enter the first.
struct Closed : TempDir {
  Closed() : app(make("closed/ws/app")), ws(path() + "/closed/ws") {
    REQUIRE(::chmod(path().c_str(), 0755) == 0);
    for (const std::string& directory : {app, ws}) {
      REQUIRE(::chmod(directory.c_str(), 0755) == 0);
      REQUIRE(::chown(directory.c_str(), user, user) == 0);
    }
    REQUIRE(::chmod((path() + "/closed").c_str(), 0700) == 0);
  }

  [[nodiscard]] Setup inside(const std::string& directory) const {
    Setup setup = in(directory);
    setup.before_exec = as_user(user).before_exec;
    return setup;
  }

  void make_pack(const std::string& directory) const {
    std::filesystem::create_directories(directory + "/.grex");
    write_file(directory + "/.grex/pack.yaml", "");
    REQUIRE(::chown((directory + "/.grex").c_str(), user, user) == 0);
  }

  std::string app;
  std::string ws;
};

constexpr int levels = 25;
const std::string level(200, 'd');

// The names of directories that are too deep for a path.
std::string deep_names() {
  std::string names = level;
  for (int i = 1; i < levels; ++i) names += "/" + level;
  return names;
}

// Starts in that directory below this one, and creates it.
Setup in_deep(const std::string& top) {
  Setup setup = in(top);
  setup.before_exec = [] {
    for (int i = 0; i < levels; ++i) {
      const bool is_there = ::mkdir(level.c_str(), 0700) == 0 || errno == EEXIST;
      if (!is_there || ::chdir(level.c_str()) != 0) ::_exit(2);
    }
  };
  return setup;
}

// Whether the command finds the lock file of the working directory locked.
std::string ran_locked(const std::string& file, const Words& run, const Setup& setup) {
  Words words = run;
  for (const std::string& word : {std::string("--"), std::string("sh"), std::string("-c"),
                                  "flock -n " + file + " true; echo $?; echo \"$GREX_LOCK_STACK\""}) {
    words.push_back(word);
  }
  const Finished finished = finish(words, setup);
  CHECK(finished.err.empty());
  CHECK(finished.ended == exited(0));
  return finished.out;
}

// Checks every command with the lock of the working directory, whose path is known.
void check_commands(const std::string& path, const Setup& here) {
  for (const std::string layout : {"both", "flat", "nested"}) {
    CAPTURE(layout);
    const std::string name = layout == "nested" ? ".grex/.grex-lock" : ".grex-lock";
    const std::string ran = ran_locked(name, grex_lock({"run", "--layout", layout, "."}), here);
    CHECK(ran.starts_with("1\n[{"));
    CHECK(json::parse(ran.substr(2))[0]["path"] == path + "/" + name);
  }
  for (const std::string tier : {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"}) {
    CAPTURE(tier);
    const std::string target = tier == "backend" ? "clone" : ".";
    const Finished run = run_tool({"run", "-v", "-t", tier, target, "--", "echo", "ran"}, here);
    CHECK(run.out == "ran\n");
    CHECK(run.err.find("grex-lock: locked " + path + "/") != std::string::npos);
    CHECK(run_tool({"probe", "-t", tier, target}, here).ended == exited(0));
  }
  CHECK(run_tool({"run", "--create", "new", "--", "echo", "ran"}, here).out == "ran\n");

  Process hold(grex_lock({"hold", "."}), here);
  CHECK(hold.line() == "pid " + std::to_string(hold.pid()) + " holds " + path + "/.grex-lock");
  const Finished busy = run_tool({"run", "-n", ".", "--", "true"}, here);
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.starts_with("grex-lock: busy: " + path + "/.grex-lock: held by pid " + std::to_string(hold.pid()) +
                             " "));
  for (const Words& words : {grex_lock({"probe", "."}), grex_lock({"wait", "-n", "."})}) {
    CHECK(finish(words, here).ended == exited(75));
  }
  for (const Words& words : {grex_lock({"status", "--json", "--held", "."}), grex_lock({"status", "--json", "--held"}),
                             grex_lock({"status", "--json", "--held", "-r", "."})}) {
    const json locks = json::parse(finish(words, here).out)["locks"];
    REQUIRE(locks.size() == 1);
    CHECK(locks[0]["target"] == path);
    CHECK(locks[0]["state"] == "held");
    CHECK(locks[0]["record"] == "valid");
    CHECK(locks[0]["holders"][0]["pid"] == hold.pid());
  }
  const Finished tiers = run_tool({"tiers", "."}, here);
  CHECK(tiers.out.find(path + "/.grex/.grex.lock\n") != std::string::npos);
  Process waiter(grex_lock({"run", ".", "--", "echo", "ran"}), here);
  // The path is too long for us, too.
  until([&hold] { return waiters_on("/proc/" + std::to_string(hold.pid()) + "/cwd/.grex-lock") == 1; });
  CHECK(run_tool({"release", "."}, here).ended == exited(0));
  CHECK(hold.wait() == exited(0));
  CHECK(waiter.line() == "ran");
  CHECK(waiter.wait() == exited(0));
  const Finished detached = run_tool({"hold", "--detach", "."}, here);
  REQUIRE(detached.out.starts_with("pid "));
  CHECK(run_tool({"probe", "."}, here).ended == exited(75));
  CHECK(run_tool({"release", "."}, here).ended == exited(0));
  reap(std::stoi(detached.out.substr(4)));
}

}  // namespace

TEST_CASE("below a directory that may not be entered, every command works in the working directory") {
  if (!can_become_others()) return;
  const Closed dir;
  check_commands(dir.app, dir.inside(dir.app));
  CHECK(
      run_tool({"run", "-v", "..", "--", "true"}, dir.inside(dir.app)).err.starts_with("grex-lock: locked " + dir.ws));
  // What no descriptor leads to is refused.
  const Finished refused = run_tool({"run", dir.app, "--", "echo", "ran"}, dir.inside(dir.app));
  CHECK(refused.ended == exited(77));
  CHECK(refused.err == "grex-lock: no permission: " + dir.app + ": Permission denied\ngrex-lock: " + dir / "closed" +
                           " belongs to root, mode 0700\n");
}

TEST_CASE("below a directory that may not be entered, the lock of an ancestor is known") {
  if (!can_become_others()) return;
  const Closed dir;
  const auto nested = [&](const Words& options) {
    Words words = grex_lock({"run", ".", "--", grex_lock(), "run"});
    words.insert(words.end(), options.begin(), options.end());
    for (const char* const word : {".", "--", "echo", "ran"}) words.emplace_back(word);
    return finish(words, dir.inside(dir.app));
  };
  CHECK(nested({}).ended == exited(75));
  CHECK(nested({"--reentrant"}).out == "ran\n");
  CHECK(nested({"-t", "workspace-sync"}).ended == exited(76));
  CHECK(nested({"-t", "manifest"}).out == "ran\n");
  // Elsewhere, its path leads nowhere.
  CHECK(run_tool({"run", ".", "--", "sh", "-c", "cd /; exec \"$0\" stack", grex_lock()}, dir.inside(dir.app))
            .out.find(dir.app + "/.grex-lock\n") != std::string::npos);
}

TEST_CASE("below a directory that may not be entered, the enclosing pack and the workspaces above are found") {
  if (!can_become_others()) return;
  const Closed dir;
  dir.make_pack(dir.ws);
  const std::string src = dir.make("closed/ws/app/src");
  const Finished run = run_tool({"run", "--", "sh", "-c", "flock -n ../../.grex-lock true; echo $?"}, dir.inside(src));
  CHECK(run.err == "grex-lock: no PATH given: using pack " + dir.ws + "\n");
  CHECK(run.out == "1\n");
  const Finished guarded =
      run_tool({"run", "-v", "--guard", ".", "--", "sh", "-c", "flock -n ../.grex.sync.lock true; echo $?"},
               dir.inside(dir.app));
  CHECK(guarded.out == "1\n");
  CHECK(guarded.err.find("grex-lock: guarded: " + dir.ws + "\n") != std::string::npos);
  // A clone's lock is kept in the workspace.
  const std::string stack = ran_locked("../.grex/locks/app/clone.backend.lock",
                                       grex_lock({"run", "-t", "backend", "clone"}), dir.inside(dir.app));
  CHECK(stack.starts_with("1\n"));
  CHECK(json::parse(stack.substr(2))[1]["path"] == dir.ws + "/.grex/locks/app/clone.backend.lock");
}

TEST_CASE("below a directory that may not be entered, fd locks and records as ever") {
  if (!can_become_others()) return;
  const Closed dir;
  const std::string script =
      "mkdir .grex; exec 8>>.grex-lock 9>>.grex/.grex-lock; \"$LOCK\" fd 8 9; cat .grex/.grex-lock; "
      "\"$LOCK\" fd -u 8 9; \"$LOCK\" fd 8; rm .grex-lock; : >.grex-lock; \"$LOCK\" fd 8";
  const Finished finished = finish(bash(script), dir.inside(dir.app));
  CHECK(finished.ended == exited(77));
  CHECK(json::parse(finished.out)["verb"] == "fd");
  const std::string half = "grex-lock: locked only " + dir.app +
                           "/.grex-lock: grex 1.3.2 and later are not excluded; lock " + dir.app +
                           "/.grex/.grex-lock, too\n";
  CHECK(finished.err.starts_with(half + "grex-lock: unsafe lock file: "));
}

TEST_CASE("a file that replaces the lock file during a wait is the one that is locked, whatever the path shows") {
  if (!can_become_others()) return;
  const Closed dir;
  for (const std::string name : {".grex-lock", ".grex/.grex-lock"}) {
    CAPTURE(name);
    std::filesystem::create_directories(dir.app + "/.grex");
    REQUIRE(::chown((dir.app + "/.grex").c_str(), user, user) == 0);
    Fd lock = lock_as_grex(dir.app + "/" + name);
    Process waiter(grex_lock({"run", ".", "--", "flock", "-n", name, "true"}), dir.inside(dir.app));
    until([&] { return waiters_on(dir.app + "/" + name) == 1; });
    std::filesystem::rename(dir.app + "/" + name, dir / "old");
    lock.reset();
    CHECK(waiter.wait() == exited(1));
  }
}

TEST_CASE("a removed working directory below one that may not be entered is not found") {
  if (!can_become_others()) return;
  const Closed dir;
  Setup removed = dir.inside(dir.app);
  const std::string app = dir.app;
  const auto become = removed.before_exec;
  removed.before_exec = [app, become] {
    ::rmdir(app.c_str());
    become();
  };
  CHECK(run_tool({"run", ".", "--", "echo", "ran"}, removed).ended == exited(66));
}

TEST_CASE("if the path of the working directory is longer than the kernel allows, every command works there") {
  const TempDir dir;
  const std::string path = dir / deep_names();
  REQUIRE(path.size() > PATH_MAX);
  check_commands(path, in_deep(dir.path()));
}

TEST_CASE("a clone deep below its meta directory has its lock there") {
  const TempDir dir;
  dir.make(".grex");
  write_file(dir / ".grex/pack.yaml", "");
  const std::string stack =
      ran_locked(".grex-backend-clone.lock", grex_lock({"run", "-t", "backend", "clone"}), in_deep(dir.path()));
  CHECK(stack.starts_with("1\n"));
  CHECK(json::parse(stack.substr(2))[1]["path"] == dir / ".grex/locks/" + deep_names() + "/clone.backend.lock");
}

TEST_CASE("a lock file whose path is too long, in a directory whose path isn't, is locked") {
  const TempDir dir;
  std::string path = dir.path();
  while (path.size() + 102 < PATH_MAX) path += "/" + std::string(100, 'd');
  path += "/" + std::string(PATH_MAX - 2 - path.size(), 'e');
  std::filesystem::create_directories(path);
  CHECK(ran_locked(path + "/.grex-lock 2>/dev/null", grex_lock({"run", path}), {}).find("\n[{") != std::string::npos);
  CHECK(run_tool({"hold", "--for", "0", path}).ended == exited(0));
  const json document = json::parse(run_tool({"status", "--json", path}).out);
  CHECK(document["locks"][2]["state"] == "free");
}
