// Several locks in one command.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

TEST_CASE("the command's stack lists each of its locks once, in the order of taking") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  const Finished finished = run_tool({"run", b, "-l", "manifest:" + a, a, "-l", "per-pack:" + b, "-l",
                                      "workspace-sync:" + dir.path(), "--", grex_lock(), "stack", "--json"});
  const json entries = json::parse(finished.out)["entries"];
  Words paths;
  for (const json& entry : entries) {
    paths.push_back(entry["path"]);
    CHECK(entry["live"] == true);
  }
  CHECK(paths == Words{dir / ".grex.sync.lock", dir / ".grex/.grex.sync.lock", a + "/.grex-lock",
                       a + "/.grex/.grex-lock", b + "/.grex-lock", b + "/.grex/.grex-lock", a + "/.grex/.grex.lock"});
}

TEST_CASE("commands that name packs in conflicting orders never deadlock, and exclude each other in each pack") {
  const TempDir dir;
  for (const char* const pack : {"a", "b", "c"}) dir.make(pack);
  // The oracle: each job creates a directory in each of its packs; mkdir fails if another job is there.
  const std::string job = "for p; do mkdir $p/busy || echo overlap; done; for p; do rmdir $p/busy; done; echo x >>done";
  const std::string count = std::to_string(tries(90));
  const Finished script = finish(bash("orders=('a b' 'b a' 'b c' 'c b' 'c a' 'a c' 'a b c' 'c b a' 'b c a')\n"
                                      "for i in $(seq " +
                                      count + "); do set -- ${orders[i % 9]}; \"$LOCK\" run \"$@\" -- bash -c '" + job +
                                      "' job \"$@\" & done; wait; wc -l <done"),
                                 in(dir.path()));
  CAPTURE(script.err);
  CHECK(script.out == count + "\n");
  for (const char* const pack : {"a", "b", "c"}) CHECK_FALSE(is_locked(dir / pack + "/.grex-lock"));
}

TEST_CASE("if one of the locks is busy, none is taken, and the busy one is named") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  const Fd lock = lock_as_grex(b + "/.grex-lock");
  for (const char* const patience : {"-n", "-w1ms"}) {
    const Finished busy = run_tool({"run", patience, a, b, "--", "touch", dir / "ran"});
    CHECK(busy.ended == exited(75));
    CHECK(busy.err.find(": " + b + "/.grex-lock: held by pid ") != std::string::npos);
    CHECK_FALSE(is_locked(a + "/.grex-lock"));
    CHECK_FALSE(exists(dir / "ran"));
  }
}

TEST_CASE("a signal in the wait for the second lock releases the first") {
  const TempDir dir;
  const auto [a, b] = dir.make_two();
  const Fd lock = lock_as_grex(b + "/.grex-lock");
  Process waiter(grex_lock({"run", a, b, "--", "true"}));
  until([&path = b] { return waiters_on(path + "/.grex-lock") == 1; });
  CHECK(is_locked(a + "/.grex-lock"));
  waiter.signal(SIGTERM);
  CHECK(waiter.wait() == exited(128 + SIGTERM));
  CHECK_FALSE(is_locked(a + "/.grex-lock"));
}

TEST_CASE("one bad lock among several leaves all untouched") {
  const TempDir dir;
  const std::string a = dir.make("a");
  CHECK(run_tool({"run", a, dir / "none", "--", "true"}).ended == exited(66));
  CHECK(run_tool({"run", a, "-l", "nothing:" + a, "--", "true"}).ended == exited(64));
  CHECK(run_tool({"run", a, "", "--", "true"}).ended == exited(64));
  CHECK_FALSE(exists(a + "/.grex-lock"));
  dir.make("b/.grex-lock");  // a directory: refused when its turn comes, with the first lock held
  CHECK(run_tool({"run", a, dir / "b", "--", "true"}).ended == exited(77));
  CHECK_FALSE(is_locked(a + "/.grex-lock"));
}

TEST_CASE("an unexpanded ~ is explained") {
  const TempDir dir;
  const Finished finished = run_tool({"run", "-l", "per-pack:~/ws", "--", "true"}, {.directory = dir.path()});
  CHECK(finished.ended == exited(66));
  CHECK(finished.err ==
        "grex-lock: not found: ~/ws: ~ does not exist\n"
        "grex-lock: the shell expands '~' only at the start of an unquoted word: write \"$HOME/ws\"\n");
}

TEST_CASE("each of several locks is checked against the ancestors") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  const Words sync_and_pack =
      grex_lock({"run", a, "--", grex_lock(), "run", "-l", "manifest:" + a, "-l", "workspace-sync:" + b, "--", "true"});
  CHECK(finish(sync_and_pack).ended == exited(76));
  CHECK_FALSE(exists(a + "/.grex/.grex.lock"));
  // The ancestor holds one of them; the other comes after it.
  CHECK(run_tool({"run", a, "--", grex_lock(), "run", "--reentrant", a, "-l", "manifest:" + a, "--", "true"}).ended ==
        exited(0));
  CHECK(run_tool({"run", a, "--", grex_lock(), "run", a, "-l", "manifest:" + a, "--", "true"}).ended == exited(75));
}

TEST_CASE("-s shares all of the locks but slots") {
  const TempDir dir;
  const std::string slot = "semaphore:" + dir.path();
  Words words = grex_lock({"run", "-s", "--slots", "1", "-l", slot, dir.path(), "--"});
  for (const std::string& word : until_input_closes()) words.push_back(word);
  Process reader(words);
  CHECK(reader.line() == "ready");
  CHECK(run_tool({"run", "-n", "-s", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "-n", "-s", "--slots", "1", "-l", slot, "--", "true"}).ended == exited(75));
}

TEST_CASE("each of several locks has a record with its own tier, which is marked as released in the end") {
  const TempDir dir;
  const std::string manifest = dir / ".grex/.grex.lock";
  const Finished finished =
      run_tool({"run", dir.path(), "-l", "manifest:" + dir.path(), "--", "cat", dir / ".grex/.grex-lock", manifest});
  std::istringstream lines(finished.out);
  for (const char* const tier : {"per-pack", "manifest"}) {
    std::string line;
    REQUIRE(std::getline(lines, line));
    CHECK(json::parse(line)["tier"] == tier);
  }
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
  CHECK(has_released_record(manifest));
}

TEST_CASE("-o, --linger and -F apply to all of the locks") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  const std::string ours = "ls -l /proc/self/fd | grep -c '\\.grex-lock$'";
  CHECK(run_tool({"run", a, b, "-c", ours}).out == "4\n");
  CHECK(run_tool({"run", "-F", a, b, "-c", ours}).out == "4\n");
  CHECK(run_tool({"run", "-o", a, b, "-c", ours}).out == "0\n");
  // A daemon in its own session, which closes our pipes when it starts.
  const std::string daemon = "mkfifo end; setsid sh -c 'exec </dev/null >/dev/null 2>&1; read line <end' &";
  const Finished lingering = run_tool({"run", "--linger", a, b, "--", "sh", "-c", daemon}, {.directory = dir.path()});
  CHECK(lingering.ended == exited(0));
  CHECK(is_locked(a + "/.grex-lock"));
  CHECK(is_locked(b + "/.grex-lock"));
  write_file(dir / "end", "done\n");
  until([&] { return !is_locked(a + "/.grex-lock") && !is_locked(b + "/.grex-lock"); });
  until([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; });
}

TEST_CASE("a pack that is replaced during the wait for an earlier lock is locked where it is now") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  Fd lock = lock_as_grex(a + "/.grex-lock");
  Process waiter(grex_lock({"run", a, b, "--", "flock", "-n", b + "/.grex-lock", "true"}));
  until([&a] { return waiters_on(a + "/.grex-lock") == 1; });
  std::filesystem::remove_all(b);
  dir.make("b");
  lock.reset();
  CHECK(waiter.wait() == exited(1));  // flock finds it locked
  lock = lock_as_grex(a + "/.grex-lock");
  Process late(grex_lock({"run", a, b, "--", "true"}));
  until([&a] { return waiters_on(a + "/.grex-lock") == 1; });
  std::filesystem::remove_all(b);
  lock.reset();
  CHECK(late.wait() == exited(66));
}

TEST_CASE("more locks than the stack has room for are refused before any is taken") {
  const TempDir dir;
  const FlatLayout one_file;
  const auto run_with = [&dir](int packs) {
    Words words = grex_lock({"run"});
    for (int i = 0; i < packs; ++i) words.push_back(dir.make("pack-" + std::to_string(i)));
    words.insert(words.end(), {"--", grex_lock(), "stack", "--json"});
    return finish(words);
  };
  const Finished refused = run_with(1000);
  CHECK(refused.ended == exited(64));
  CHECK(refused.err.starts_with("grex-lock: usage: 1000 locks are too many: "));
  CHECK_FALSE(exists(dir / "pack-0/.grex-lock"));
  CHECK(finish(bash("\"$LOCK\" wait pack-*"), in(dir.path())).ended == exited(0));  // wait needs no stack
  const Finished accepted = run_with(500);
  CHECK(accepted.ended == exited(0));
  CHECK(json::parse(accepted.out)["entries"].size() == 500);
}
