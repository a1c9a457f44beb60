#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

std::vector<std::string> paths_of(const Finished& finished) {
  CAPTURE(finished.err);
  CHECK(finished.ended == exited(0));
  std::vector<std::string> paths;
  const json document = json::parse(finished.out);
  for (const json& lock : document["locks"]) paths.push_back(lock["path"]);
  return paths;
}

bool contains(const std::vector<std::string>& paths, const std::string& path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

}  // namespace

TEST_CASE("-r finds the lock files of every tier and layout below a directory") {
  const TempDir dir;
  dir.make("ws/.grex/locks/libs");
  dir.make("ws/app/.grex");
  dir.make("ws/app/.git");
  for (const char* const name : {"ws/.grex.sync.lock", "ws/.grex/.grex.slot-0.lock", "ws/.grex/.grex.slot-1.lock",
                                 "ws/.grex/.grex.slot-queue-2.lock", "ws/.grex/locks/libs/one.backend.lock",
                                 "ws/app/.grex-lock", "ws/app/.grex/.grex-lock", "ws/app/.grex/.grex.lock",
                                 "ws/.grex-backend-lib.lock", "ws/Cargo.lock", "ws/app/.git/.grex-lock"}) {
    write_file(dir / name, "");
  }
  const json document = json::parse(run_tool({"status", "--json", "-r", dir.path()}).out);
  json found = json::array();
  for (const json& lock : document["locks"]) found.push_back({lock["tier"], lock["target"], lock["path"]});
  CHECK(found == json::array({
                     {"workspace-sync", dir / "ws", dir / "ws/.grex.sync.lock"},
                     {"semaphore", dir / "ws", dir / "ws/.grex/.grex.slot-0.lock"},
                     {"per-pack", dir / "ws/app", dir / "ws/app/.grex-lock"},
                     {"manifest", dir / "ws/app", dir / "ws/app/.grex/.grex.lock"},
                     {"backend", dir / "ws/lib", dir / "ws/.grex-backend-lib.lock"},
                     {"backend", dir / "ws/libs/one", dir / "ws/.grex/locks/libs/one.backend.lock"},
                 }));
}

TEST_CASE("-r and --all know the names that earlier releases used, and mark them as old") {
  const TempDir dir;
  dir.make("ws/.grex/workspace");
  const Words names = {"ws/.grex/workspace/.grex.sync.lock", "ws/.grex.slot-0.lock", "ws/.grex.slot-queue-2.lock",
                       "ws/lib.grex-backend.lock"};
  std::vector<Fd> locks;
  for (const std::string& name : names) locks.push_back(lock_as_grex(dir / name));
  const Fd current = lock_as_grex(dir / "ws/.grex.sync.lock");
  for (const auto& words :
       {grex_lock({"status", "--json", "-r", dir.path()}), grex_lock({"status", "--json", "--all"})}) {
    json found = json::array();
    const json document = json::parse(finish(words).out);
    for (const json& lock : document["locks"]) {
      if (lock["path"].get<std::string>().starts_with(dir.path())) {
        found.push_back({lock["tier"], lock["target"], lock["path"], lock["files"][0]["layout"], lock["state"]});
      }
    }
    CHECK(found == json::array({
                       {"workspace-sync", dir / "ws", dir / "ws/.grex.sync.lock", "flat", "held"},
                       {"workspace-sync", dir / "ws", dir / names[0], "old", "held"},
                       {"semaphore", dir / "ws", dir / names[1], "old", "held"},
                       {"backend", dir / "ws/lib", dir / names[3], "old", "held"},
                   }));
  }
  CHECK(run_tool({"status", "-r", dir.path()}).out.find("ws/lib.grex-backend.lock  (old)\n") != std::string::npos);
}

// SECURITY.md: mislead `status -r` with links, FIFOs, other file systems or endless paths | skipped; what could not be
// read is reported
TEST_CASE("-r follows no link, and neither a FIFO nor a directory with a lock's name stops it") {
  const TempDir dir;
  dir.make("real/pack");
  dir.make("ws/.grex-lock");
  write_file(dir / "real/pack/.grex-lock", "");
  REQUIRE(::symlink((dir / "real").c_str(), (dir / "ws/link").c_str()) == 0);
  CHECK(paths_of(run_tool({"status", "--json", "-r", dir / "ws"})).empty());
  dir.make("ws/pack");
  REQUIRE(::mkfifo((dir / "ws/pack/.grex-lock").c_str(), 0600) == 0);
  const json document = json::parse(run_tool({"status", "--json", "-r", dir / "ws"}).out);
  REQUIRE(document["locks"].size() == 1);
  CHECK(document["locks"][0]["state"] == "unknown");
  // -r finds what comes before and after them, and follows no link in a lock file's place.
  for (const char* const name : {"ws/.grex-lock/deep", "ws/a", "ws/z", "ws/linked"}) dir.make(name);
  for (const char* const name : {"ws/.grex-lock/deep", "ws/a", "ws/z"}) write_file(dir / name + "/.grex-lock", "");
  REQUIRE(::symlink((dir / "real/pack/.grex-lock").c_str(), (dir / "ws/linked/.grex-lock").c_str()) == 0);
  std::vector<std::string> regular;
  const json with_others = json::parse(run_tool({"status", "--json", "-r", dir / "ws"}).out);
  for (const json& lock : with_others["locks"]) {
    if (lock["state"] != "unknown") regular.push_back(lock["path"]);
  }
  CHECK(regular == std::vector<std::string>{dir / "ws/.grex-lock/deep/.grex-lock", dir / "ws/a/.grex-lock",
                                            dir / "ws/z/.grex-lock"});
}

// SECURITY.md: mislead `status -r` with links, FIFOs, other file systems or endless paths | skipped; what could not be
// read is reported
TEST_CASE("-r stays on its file system") {
  const TempDir dir;
  dir.make("ws/there");
  write_file(dir / "ws/.grex-lock", "");
  const Finished finished =
      finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
              "mount -t tmpfs none there && >there/.grex-lock && exec " + grex_lock() + " status --json -r ."},
             in(dir / "ws"));
  CHECK(paths_of(finished) == std::vector<std::string>{dir / "ws/.grex-lock"});
  CHECK(json::parse(finished.out)["complete"] == false);
  CHECK(finished.err == "grex-lock: not searched: " + dir / "ws/there: another file system\n");
}

TEST_CASE(
    "-r enters other mounts of its file system, but only counts many others, and never says that nothing is held") {
  const TempDir dir;
  for (const char* const name : {"elsewhere/pack", "ws/same", "ws/1", "ws/2", "ws/3", "ws/4"}) dir.make(name);
  write_file(dir / "elsewhere/pack/.grex-lock", "");
  const std::string tool = grex_lock();
  const auto with_mounts = [&](const std::string& script) {
    return finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script}, in(dir / "ws"));
  };
  const Finished same = with_mounts("mount --bind ../elsewhere same && exec " + tool + " status --json -r .");
  CHECK(paths_of(same) == std::vector<std::string>{dir / "ws/same/pack/.grex-lock"});
  CHECK(json::parse(same.out)["complete"] == true);

  const std::string mount_all = "for i in 1 2 3 4; do mount -t tmpfs none $i || exit; done; ";
  const Finished held = with_mounts(mount_all + "exec " + tool + " status -r --held .");
  CHECK(held.ended == exited(0));
  CHECK(held.out == "no lock that was found is held or waited for\n");
  CHECK(held.err == "grex-lock: not searched: 4 other file systems below .\n");
  CHECK(with_mounts(mount_all + "exec " + tool + " status -r .").out == "no lock files found\n");
}

TEST_CASE("-r reports a directory that it can't read, and all the rest") {
  const TempDir dir;
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  dir.make("ws/closed");
  dir.make("ws/open");
  write_file(dir / "ws/open/.grex-lock", "");
  REQUIRE(::chmod((dir / "ws/closed").c_str(), 0) == 0);
  const Finished finished = run_tool({"status", "--json", "-r", dir / "ws"}, as_nobody());
  ::chmod((dir / "ws/closed").c_str(), 0755);
  CHECK(finished.ended == exited(77));
  CHECK(json::parse(finished.out)["complete"] == false);
  CHECK(json::parse(finished.out)["locks"].size() == 1);
  CHECK(finished.err.starts_with("grex-lock: "));
  CHECK(finished.err.find("ws/closed") != std::string::npos);
  CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
}

TEST_CASE("-r of a missing path is an error") {
  const TempDir dir;
  CHECK(run_tool({"status", "-r", dir / "none"}).ended == exited(66));
}

TEST_CASE("--held shows only what is held or waited for") {
  const TempDir dir;
  for (const char* const name : {"a", "b", "c"}) {
    dir.make(name);
    write_file(dir / name + "/.grex-lock", "");
  }
  const Fd lock = lock_as_grex(dir / "b/.grex-lock");
  CHECK(paths_of(run_tool({"status", "--json", "-r", "--held", dir.path()})) ==
        std::vector<std::string>{dir / "b/.grex-lock"});
  CHECK(paths_of(run_tool({"status", "--json", "--held", dir / "a"})).empty());
}

TEST_CASE("--all finds all locks that are held on this machine, by any program and in any place") {
  const TempDir dir;
  dir.make("app/.grex");
  dir.make("ws");
  dir.make("free");
  write_file(dir / "free/.grex-lock", "");
  Process tool(grex_lock({"run", dir / "app", "--", "sh", "-c", "echo; read line"}));
  tool.line();
  dir.make("other/.grex");
  Process flock({"flock", dir / "other/.grex/.grex-lock", "sh", "-c", "echo; read line"});
  flock.line();
  Process slot_holder(
      grex_lock({"run", "-t", "semaphore", "--slots", "3", dir / "ws", "--", "sh", "-c", "echo; read line"}));
  slot_holder.line();
  const Finished finished = run_tool({"status", "--json", "--all"});
  const auto paths = paths_of(finished);
  CHECK(contains(paths, dir / "app/.grex-lock"));
  CHECK(contains(paths, dir / "other/.grex/.grex-lock"));
  CHECK(contains(paths, dir / "ws/.grex/.grex.slot-0.lock"));
  CHECK_FALSE(contains(paths, dir / "free/.grex-lock"));
  for (const json& lock : json::parse(finished.out)["locks"]) CHECK(lock["state"] != "free");
}

TEST_CASE("--all reaches a lock that only another mount namespace has") {
  const TempDir dir;
  dir.make("there");
  Process inside({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                  "mount -t tmpfs none there && exec " + grex_lock() + " run there -- sh -c 'echo $PPID; read line'"},
                 in(dir.path()));
  const std::string pid = inside.line();
  const auto paths = paths_of(run_tool({"status", "--json", "--all"}));
  const std::string end = "/root" + dir / "there/.grex-lock";
  // Only once, although two processes have it open.
  CHECK(std::count_if(paths.begin(), paths.end(), [&end](const std::string& path) {
          return path.starts_with("/proc/") && path.ends_with(end);
        }) == 1);
}

TEST_CASE("--all counts a lock whose path is too long for the kernel, and one that a mount hides") {
  const TempDir dir;
  const auto check_counted = [](const std::string& text, const std::string& line_of_json) {
    CHECK(text.find(" whose path is too long, or leads elsewhere") != std::string::npos);
    CHECK(text.find("no lock is held") == std::string::npos);
    CHECK(json::parse(line_of_json)["complete"] == false);
    CHECK(json::parse(line_of_json)["unnamed"] >= 1);
  };
  {
    const std::string deep = "for i in $(seq 25); do mkdir $0 && cd -P $0 || exit; done; exec " + grex_lock() +
                             " run . -- sh -c 'echo; read line'";
    Process tool({"bash", "-c", deep, std::string(200, 'd')}, in(dir.path()));
    tool.line();
    check_counted(run_tool({"status", "--all"}).out, run_tool({"status", "--json", "--all"}).out);
  }
  dir.make("hidden");
  const std::string hide =
      "$0 hold --detach hidden && mount -t tmpfs none hidden; $0 status --json --all; "
      "$0 status --all; umount hidden; $0 release hidden";
  const Finished hidden =
      finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", hide, grex_lock()}, in(dir.path()));
  CHECK(hidden.ended == exited(0));
  reap(std::stoi(hidden.out.substr(std::string("pid ").size())));
  const std::string shown = hidden.out.substr(hidden.out.find('\n') + 1);
  check_counted(shown, shown.substr(0, shown.find('\n')));
}

// SECURITY.md: see more with `--all` than /proc shows them | what they can't inspect is counted, not named
TEST_CASE("--all shows another user how many locks can't be named") {
  if (!can_become_others()) return;
  const TempDir dir;
  // More than other processes are likely to hold at the same time.
  constexpr int many = 200;
  std::vector<Fd> locks;
  for (int i = 0; i < many; ++i) locks.push_back(lock_as_grex(dir.make("p" + std::to_string(i)) + "/.grex-lock"));
  const Finished finished = run_tool({"status", "--json", "--all"}, as_nobody());
  CHECK(finished.ended == exited(0));
  CHECK(finished.out.find(dir.path()) == std::string::npos);
  CHECK(json::parse(finished.out)["complete"] == false);
  CHECK(json::parse(finished.out)["unnamed"] >= many);
  const std::string text = run_tool({"status", "--all"}, as_nobody()).out;
  CHECK(text.find(" files locked by other users' processes; root sees them\n") != std::string::npos);
  CHECK(text.find("no lock is held") == std::string::npos);
}

TEST_CASE("--all never says that nothing is held if /proc/locks changes while it is read") {
  if (!can_become_others()) return;
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  for (const auto& [staying, coming] : {std::pair(0, 400), std::pair(25, 3), std::pair(68, 3)}) {
    const Process churn = churning_locks(dir.path(), staying, coming);
    for (int i = 0; i < tries(30); ++i) {
      const std::string text = run_tool({"status", "--all"}, as_nobody()).out;
      REQUIRE(text.find("no lock is held") == std::string::npos);
      const bool admits_more =
          text.find("not shown: ") != std::string::npos || text.find("may be incomplete: ") != std::string::npos;
      REQUIRE(admits_more);
    }
  }
}

TEST_CASE("--all never says that nothing is held if other PID namespaces may hold something") {
  const Finished finished =
      finish({"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
              grex_lock() + " status --all; " + grex_lock() + " status --all --json"});
  CHECK(finished.out.starts_with("no grex lock held, as far as this user can see\n"));
  CHECK(finished.out.find("not shown: locks of other PID namespaces\n") != std::string::npos);
  CHECK(finished.out.find("\"complete\":false") != std::string::npos);
}

// SECURITY.md: mislead `status -r` with links, FIFOs, other file systems or endless paths | skipped; what could not be
// read is reported
TEST_CASE("-r reports a path that is too long, as it does one that it can't read") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  // Deeper than PATH_MAX: created from the inside, step by step.
  REQUIRE(finish({"bash", "-c", "for i in {1..25}; do d=$(printf '%0200d' $i); mkdir $d && cd $d || exit; done"},
                 in(dir.path()))
              .ended == exited(0));
  const Finished finished = run_tool({"status", "--json", "-r", dir.path()});
  REQUIRE(finish({"rm", "-r", "--", dir / (std::string(199, '0') + "1")}).ended == exited(0));
  CHECK(finished.ended == exited(74));
  CHECK(finished.err.find(": File name too long") != std::string::npos);
  CHECK(json::parse(finished.out)["locks"].size() == 1);
}

TEST_CASE("options that make no sense together are usage errors") {
  const TempDir dir;
  CHECK(run_tool({"status", "--all", dir.path()}).ended == exited(64));
  CHECK(run_tool({"status", "--all", "-r"}).ended == exited(64));
  CHECK(run_tool({"status", "--graph", "--json", dir.path()}).ended == exited(64));
  CHECK(run_tool({"status", "--graph", "--watch", dir.path()}).ended == exited(64));
  for (const char* const interval : {"--watch=0", "--watch=0.05", "--watch=x"}) {
    CAPTURE(interval);
    const Finished finished = run_tool({"status", interval, dir.path()});
    CHECK(finished.ended == exited(64));
    CHECK(finished.err.starts_with("grex-lock: "));
  }
}
