// The tier stack in the environment, across processes.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

json stack_of_command(const Words& words) { return json::parse(finish(words).out); }

// An entry for a lock file, as grex-lock writes it.
std::string entry(const char* tier, const std::string& path, pid_t pid) {
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  return json::array({{{"tier", tier},
                       {"path", path},
                       {"dev", st.st_dev},
                       {"ino", st.st_ino},
                       {"pid", pid},
                       {"mode", "exclusive"}}})
      .dump();
}

}  // namespace

TEST_CASE("the command gets the stack with its own lock appended, outermost first") {
  const TempDir dir;
  const FlatLayout one_file;
  const json stack = stack_of_command(grex_lock({"run", "-t", "workspace-sync", dir.path(), "--", grex_lock(), "run",
                                                 "-s", dir.path(), "--", "sh", "-c", "echo \"$GREX_LOCK_STACK\""}));
  REQUIRE(stack.size() == 2);  // a lock with two files would have two entries
  CHECK(stack[0]["tier"] == "workspace-sync");
  CHECK(stack[0]["path"] == dir / ".grex.sync.lock");
  CHECK(stack[0]["mode"] == "exclusive");
  CHECK(stack[1]["tier"] == "per-pack");
  CHECK(stack[1]["mode"] == "shared");
  CHECK(stack[0]["taken"].is_number_unsigned());
  CHECK(stack[0]["taken"] < stack[1]["taken"]);
  struct stat st {};
  REQUIRE(::stat((dir / ".grex-lock").c_str(), &st) == 0);
  CHECK(stack[1]["dev"] == st.st_dev);
  CHECK(stack[1]["ino"] == st.st_ino);
}

TEST_CASE("a tier not strictly above the ancestors' is refused before any wait, and creates nothing") {
  const TempDir dir;
  const std::string other = dir.make("other");
  for (const char* const tier : {"workspace-sync", "semaphore", "per-pack"}) {
    CAPTURE(tier);
    const Finished refused = run_tool({"run", dir.path(), "--", grex_lock(), "run", "-t", tier, other, "--", "true"});
    CHECK(refused.ended == exited(76));
    CHECK(refused.err.find(dir / ".grex-lock") != std::string::npos);
    CHECK(refused.err.find(other) != std::string::npos);
  }
  CHECK_FALSE(exists(other + "/.grex-lock"));
  // Before any wait: the requested lock stays held.
  const Fd lock = lock_as_grex(other + "/.grex-lock");
  CHECK(run_tool({"run", dir.path(), "--", grex_lock(), "run", other, "--", "true"}).ended == exited(76));
  CHECK(run_tool({"run", dir.path(), "--", grex_lock(), "probe", other}).ended == exited(76));
}

TEST_CASE("a lock of the same tier is refused, and the error shows the command that takes both") {
  const TempDir dir;
  const std::string outer = dir.make("a b");
  const std::string inner = dir.make("inner");
  const auto refused = [&](const Words& tier) {
    Words words = grex_lock({"run", outer, "--", grex_lock(), "run", inner, "--", "true"});
    words.insert(words.begin() + 2, tier.begin(), tier.end());
    words.insert(words.end() - 3, tier.begin(), tier.end());
    return finish(words).err;
  };
  const std::string packs = refused({});
  CAPTURE(packs);
  CHECK(packs.starts_with("grex-lock: tier order: " + inner + "/.grex-lock: must be taken together with " + outer +
                          "/.grex-lock (per-pack), which ancestor pid "));
  CHECK(packs.ends_with(" holds\ngrex-lock: take both in one command: grex-lock run '" + outer + "' " + inner +
                        " -- CMD\n"));
  CHECK(refused({"-t", "manifest"})
            .ends_with("take both in one command: grex-lock run -t manifest '" + outer + "' " + inner + " -- CMD\n"));
  CHECK(refused({"-t", "backend"})
            .ends_with("take both in one command: grex-lock run -t backend '" + outer + "' " + inner + " -- CMD\n"));
  CHECK(refused({"-t", "semaphore"}).ends_with("take both in the outer command: -l semaphore:" + inner + "\n"));
}

TEST_CASE("a lock of a lower tier is refused, and the error says what to add to the outer command") {
  const TempDir dir;
  const std::string app = dir.make("app");
  const Finished refused =
      run_tool({"run", app, "--", grex_lock(), "--json", "run", "-t", "workspace-sync", dir.path(), "--", "true"});
  CHECK(refused.ended == exited(76));
  const json error = json::parse(refused.err)["error"];
  CHECK(error["kind"] == "tier-violation");
  CHECK(error["path"] == dir / ".grex.sync.lock");
  CHECK(error["message"].get<std::string>().starts_with("tier order: workspace-sync must be taken before per-pack " +
                                                        app + "/.grex-lock, which ancestor pid "));
  CHECK(error["hint"] == "take both in the outer command: -l workspace-sync:" + dir.path());
}

TEST_CASE("--tier-check or its variable makes a reversed order a warning or nothing") {
  const TempDir dir;
  const std::string other = dir.make("other");
  const auto reversed = [&](const std::string& check, const Setup& setup = {}) {
    return run_tool({"run", dir.path(), "--", grex_lock(), "run", "--tier-check", check, other, "--", "echo", "ran"},
                    setup);
  };
  const Finished warned = reversed("warn");
  CHECK(warned.ended == exited(0));
  CHECK(warned.err.starts_with("grex-lock: warning: tier order: " + other +
                               "/.grex-lock: must be taken together with " + dir / ".grex-lock" +
                               " (per-pack), which ancestor pid "));
  CHECK(warned.out == "ran\n");
  const Finished off = reversed("off");
  CHECK(off.ended == exited(0));
  CHECK(off.err.empty());
  CHECK(reversed("enforce", {.environment = {{"GREX_LOCK_TIER_CHECK", "off"}}}).ended == exited(76));
  CHECK(run_tool({"run", dir.path(), "--", grex_lock(), "run", other, "--", "true"},
                 {.environment = {{"GREX_LOCK_TIER_CHECK", "off"}}})
            .ended == exited(0));
}

TEST_CASE("a lock that an ancestor holds is busy immediately, never a hang") {
  const TempDir dir;
  for (const char* const check : {"enforce", "off"}) {
    const Finished again =
        run_tool({"run", dir.path(), "--", grex_lock(), "run", "--tier-check", check, dir.path(), "--", "true"});
    CHECK(again.ended == exited(75));
    CHECK(again.err.starts_with("grex-lock: busy: " + dir.path() + "/.grex-lock: already held by ancestor pid "));
    CHECK(again.err.ends_with("\ngrex-lock: use --reentrant here to continue under its lock\n"));
  }
  // It is a fault of the script, not contention.
  for (const Words& inner :
       {Words{"run", "-n", "-q", "-E", "99", dir.path(), "--", "true"},
        Words{"hold", "-n", "-q", "-E", "99", dir.path()}, Words{"wait", "-n", "-q", "-E", "99", dir.path()},
        Words{"probe", "-q", "-E", "99", dir.path()}}) {
    CAPTURE(inner.front());
    Words words = grex_lock({"run", dir.path(), "--", grex_lock()});
    words.insert(words.end(), inner.begin(), inner.end());
    const Finished coded = finish(words);
    CHECK(coded.ended == exited(75));
    CHECK(coded.err.find("already held by ancestor pid ") != std::string::npos);
  }
}

TEST_CASE("--reentrant goes on under the ancestor's lock and leaves it held") {
  const TempDir dir;
  const std::string again =
      grex_lock() + " run --reentrant " + dir.path() + " -- echo ran; flock -n " + (dir / ".grex-lock") + " true";
  const Finished under = run_tool({"run", dir.path(), "--", "sh", "-c", again});
  CHECK(under.out == "ran\n");
  CHECK(under.ended == exited(1));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
  // If no ancestor holds it, it is taken.
  CHECK(run_tool({"run", "--reentrant", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}).ended ==
        exited(1));
  // A lock that an ancestor shares can't be taken exclusively.
  const Finished upgrade =
      run_tool({"run", "-s", dir.path(), "--", grex_lock(), "run", "--reentrant", dir.path(), "--", "true"});
  CHECK(upgrade.ended == exited(75));
  CHECK(upgrade.err.find("/.grex-lock: ancestor pid ") != std::string::npos);
  CHECK(upgrade.err.ends_with(" holds only a shared lock\ngrex-lock: take it exclusively there\n"));
  // So --reentrant would not help.
  CHECK(run_tool({"run", "-s", dir.path(), "--", grex_lock(), "run", dir.path(), "--", "true"})
            .err.ends_with("\ngrex-lock: take it exclusively there\n"));
  CHECK(run_tool({"run", "-s", dir.path(), "--", grex_lock(), "run", "-s", "--reentrant", dir.path(), "--", "true"})
            .ended == exited(0));
}

// SECURITY.md: set `GREX_LOCK_STACK` to what is not a stack | 65: it fails closed
TEST_CASE("a stack that grex-lock did not write fails closed") {
  const TempDir dir;
  for (const char* const text : {"x", "{}", "[{}]", "[", "null", "[{\"tier\":\"per-pack\"}]"}) {
    CAPTURE(text);
    const Finished refused = run_tool({"run", dir.path(), "--", "echo", "ran"}, with_stack(text));
    CHECK(refused.ended == exited(65));
    CHECK(refused.out.empty());
    CHECK(refused.err ==
          "grex-lock: bad environment: GREX_LOCK_STACK: not written by grex-lock\n"
          "grex-lock: run 'unset GREX_LOCK_STACK' if no ancestor holds a lock; a shell needs --export, since "
          "--export=env has no quotes\n");
    CHECK(run_tool({"probe", dir.path()}, with_stack(text)).ended == exited(65));
    CHECK(run_tool({"stack"}, with_stack(text)).ended == exited(65));
    CHECK(run_tool({"run", "--tier-check=off", dir.path(), "--", "true"}, with_stack(text)).ended == exited(65));
    const json error = json::parse(run_tool({"probe", "--json", dir.path()}, with_stack(text)).out);
    CHECK(error["error"]["kind"] == "stack");
  }
  CHECK_FALSE(exists(dir / ".grex-lock"));
}

TEST_CASE("empty stacks are valid") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "true"}, with_stack("")).ended == exited(0));
  CHECK(run_tool({"run", dir.path(), "--", "true"}, with_stack("[]")).ended == exited(0));
}

// SECURITY.md: name locks in the stack that no process holds | they are checked and ignored
TEST_CASE("an entry whose lock is gone is dropped, with a note under -v") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const std::string stale = entry("manifest", dir / ".grex-lock", 1);
  const Finished finished =
      run_tool({"run", "-v", dir.path(), "--", "sh", "-c", "echo $GREX_LOCK_STACK"}, with_stack(stale));
  CHECK(finished.ended == exited(0));
  CHECK(finished.err.starts_with("grex-lock: stale entry ignored: " + dir / ".grex-lock" +
                                 ": pid 1 no longer holds it\n"));
  CHECK(json::parse(finished.out).size() == 2);  // one for each file of the new lock
  CHECK(run_tool({"run", dir.path(), "--", "true"}, with_stack(stale)).err.empty());
}

TEST_CASE("a lock that a daemon outlived is simply busy if another process holds it now") {
  const TempDir dir;
  Process first({"true"});
  first.wait();
  Process second({"flock", dir / ".grex-lock", "sh", "-c", "echo; read line"});
  second.line();
  // Not "already held by ancestor": another process has it now.
  const std::string outlived = entry("per-pack", dir / ".grex-lock", first.pid());
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}, with_stack(outlived)).err.find("held by pid") !=
        std::string::npos);
}

TEST_CASE("stack shows the inherited locks, verified") {
  const TempDir dir;
  CHECK(run_tool({"stack"}).out.empty());
  const std::string tool = grex_lock();
  const Finished text = run_tool({"run", dir.path(), "--", tool, "stack"});
  CHECK(text.out.starts_with("per-pack        exclusive  pid "));
  CHECK(text.out.find("  " + dir.path() + "/.grex-lock\n") != std::string::npos);
  CHECK(text.out.ends_with("  " + dir.path() + "/.grex/.grex-lock\n"));

  const json live = json::parse(run_tool({"run", dir.path(), "--", tool, "--json", "stack"}).out);
  CHECK(live["verb"] == "stack");
  CHECK(live["entries"][0]["tier"] == "per-pack");
  CHECK(live["entries"][0]["live"] == true);
  CHECK(live["entries"][0]["proved"] == true);

  const std::string stale = entry("backend", dir / ".grex-lock", 1);
  const json gone = json::parse(run_tool({"stack", "--json"}, with_stack(stale)).out);
  CHECK(gone["entries"][0]["live"] == false);
  CHECK(gone["entries"][0]["proved"] == false);
  CHECK(run_tool({"stack"}, with_stack(stale)).out.ends_with("(stale)\n"));
}

TEST_CASE("a signal that arrives before a wait with nothing to wait for ends it") {
  const TempDir dir;
  const Fd ours = lock_as_grex(dir / ".grex-lock");
  const Setup setup = {.environment = {{"GREX_LOCK_STACK", entry("per-pack", dir / ".grex-lock", ::getpid())}},
                       .before_exec = [&ours] {
                         ::dup2(ours.get(), 9);
                         sigset_t set;
                         sigemptyset(&set);
                         sigaddset(&set, SIGTERM);
                         ::sigprocmask(SIG_BLOCK, &set, nullptr);
                         ::raise(SIGTERM);
                       }};
  CHECK(run_tool({"wait", "--reentrant", dir.path()}, setup).ended == exited(128 + SIGTERM));
}
