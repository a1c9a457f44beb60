#include <csignal>

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// Takes the first lock, prints a line, and after a line of input waits for the second.
Process take_two(const TempDir& dir, const std::string& first, const std::string& second) {
  const auto file = [](const std::string& name) { return name + "/.grex-lock"; };
  Process process({"flock", file(first), "sh", "-c", "echo; read line; exec flock " + file(second) + " true"},
                  in(dir.path()));
  process.line();
  return process;
}

json status_of(const std::string& path) { return json::parse(run_tool({"status", "--json", path}).out); }

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Two flock(1) that wait for each other: one holds `a`, the other `b`.
struct RealDeadlock {
  explicit RealDeadlock(const TempDir& dir) : one(make(dir)), other(take_two(dir, "b", "a")) {
    one.write("\n");
    until([&dir] { return waiters_on(dir / "b/.grex-lock") == 1; });
    other.write("\n");
    until([&dir] { return waiters_on(dir / "a/.grex-lock") == 1; });
  }
  static Process make(const TempDir& dir) {
    dir.make("a");
    dir.make("b");
    return take_two(dir, "a", "b");
  }
  Process one;
  Process other;
};

// The first waiter that status shows.
pid_t waiter_of(const json& document) {
  for (const json& lock : document["locks"]) {
    if (!lock["waiters"].empty()) return lock["waiters"][0]["pid"];
  }
  return 0;
}

}  // namespace

TEST_CASE("two flock(1) that wait for each other are a deadlock in JSON, text and DOT") {
  const TempDir dir;
  const RealDeadlock deadlock(dir);
  const json document = status_of(dir / "a");
  std::vector<pid_t> pids = {waiter_of(document), waiter_of(status_of(dir / "b"))};
  std::sort(pids.begin(), pids.end());
  CHECK(document["deadlocks"] == json::array({pids}));

  const std::string text = run_tool({"status", dir / "a"}).out;
  CHECK(text.starts_with("deadlock: "));
  CHECK(has(text, "waits for " + dir / "a/.grex-lock, held by "));
  CHECK(has(text, "waits for " + dir / "b/.grex-lock, held by "));
  const std::string pid = std::to_string(pids.front());
  CHECK(has(text, "\n  to break it, end one of them, for example: kill " + pid + "; --graph draws it\n"));

  const std::string dot = run_tool({"status", "--graph", dir / "a"}).out;
  CHECK(dot.starts_with("digraph "));
  CHECK(std::count(dot.begin(), dot.end(), '>') == 2 * 2 + 1);  // and one to the holder outside the cycle
  std::size_t red = 0;
  for (auto at = dot.find("color=red"); at != std::string::npos; at = dot.find("color=red", at + 1)) ++red;
  CHECK(red == 4);
}

TEST_CASE("a deadlock is shown for a job that waits behind it, and for no other") {
  const TempDir dir;
  const RealDeadlock deadlock(dir);
  dir.make("c");
  // Holds c and waits for a, which no process in the deadlock will release.
  Process third = take_two(dir, "c", "a");
  third.write("\n");
  until([&dir] { return waiters_on(dir / "a/.grex-lock") == 2; });
  CHECK(status_of(dir / "c")["deadlocks"].size() == 1);

  dir.make("d");
  const Fd lock = lock_as_grex(dir / "d/.grex-lock");
  CHECK_FALSE(status_of(dir / "d").contains("deadlocks"));
}

TEST_CASE("a chain of waits is no deadlock") {
  const TempDir dir;
  for (const char* const name : {"a", "b"}) dir.make(name);
  Process holder = take_two(dir, "a", "b");
  Process waiter = take_two(dir, "b", "a");
  waiter.write("\n");
  until([&dir] { return waiters_on(dir / "a/.grex-lock") == 1; });
  const json document = status_of(dir / "a");
  CHECK(document["locks"][2]["waiters"].size() == 1);
  CHECK_FALSE(document.contains("deadlocks"));
}

TEST_CASE("a command that waits for the lock that its own flock(1) holds is a deadlock of one") {
  const TempDir dir;
  Process nested({"flock", dir / ".grex-lock", "flock", dir / ".grex-lock", "true"});
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  const json document = status_of(dir.path());
  CHECK(document["deadlocks"] == json::array({{waiter_of(document)}}));
  CHECK(run_tool({"status", dir.path()}).out.starts_with("deadlock: this process waits for "));
}

TEST_CASE("locks that a command did not inherit are known from its tier stack") {
  const TempDir dir;
  for (const char* const name : {"a", "b"}) dir.make(name);
  // With --close only grex-lock has the lock open, and waits for its command.
  const auto nested = [&dir](const std::string& first, const std::string& second) {
    return Process(
        grex_lock({"run", "--close", dir / first, "--", "sh", "-c",
                   "echo; read line; exec \"$0\" run --tier-check off \"$1\" -- true", grex_lock(), dir / second}));
  };
  Process one = nested("a", "b");
  one.line();
  Process other = nested("b", "a");
  other.line();
  one.write("\n");
  other.write("\n");
  until([&dir] { return waiters_on(dir / "a/.grex-lock") == 1 && waiters_on(dir / "b/.grex-lock") == 1; });
  // A wait of grex-lock begins again after 0.1 s, and at that moment there is no deadlock.
  until([&dir] { return status_of(dir / "a").value("deadlocks", json::array()).size() == 1; });
}

TEST_CASE("a hold that a script started without its --export is kept for that script") {
  const TempDir dir;
  for (const char* const name : {"a", "b"}) dir.make(name);
  const auto script = [&dir](const std::string& first, const std::string& second) {
    return Process({"sh", "-c",
                    "\"$0\" hold --detach --while-pid $$ \"$1\" && read line; exec flock \"$2/.grex-lock\" true",
                    grex_lock(), dir / first, dir / second});
  };
  const auto hold_of = [](Process& process) { return std::stoi(process.line().substr(sizeof "pid")); };
  Process one = script("a", "b");
  const pid_t hold_of_one = hold_of(one);
  Process other = script("b", "a");
  const pid_t hold_of_other = hold_of(other);
  CHECK(has(run_tool({"status", dir / "a"}).out, "grex-lock hold for pid " + std::to_string(one.pid()) + ": sh -c "));
  one.write("\n");
  until([&dir] { return waiters_on(dir / "b/.grex-lock") == 1; });
  const json before = status_of(dir / "b");
  CHECK(before["locks"][2]["holders"][0]["while_pid"] == other.pid());
  CHECK(before.count("deadlocks") == 0);
  other.write("\n");
  until([&dir] { return waiters_on(dir / "a/.grex-lock") == 1; });
  const auto [lower, higher] = std::minmax({one.pid(), other.pid()});
  CHECK(status_of(dir / "a")["deadlocks"] == json::array({{lower, higher}}));
  const std::string text = run_tool({"status", dir / "a"}).out;
  CHECK(has(text, "has " + dir / "a/.grex-lock" + " by hold " + std::to_string(hold_of_one) +
                      ", but not in GREX_LOCK_STACK\n"));

  other.signal(SIGTERM);
  CHECK(one.wait() == exited(0));
  reap(hold_of_one);
  reap(hold_of_other);
}

TEST_CASE("threads of one process that wait for each other's lock are no deadlock while one of them works") {
  const TempDir dir;
  // A long list of locks is read more than once.
  const Process many = churning_locks(dir.make("many"), 100, 1);
  Process threads({"python3", "-c",
                   "import fcntl, sys, threading\n"
                   "def wait():\n"
                   "  fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX)\n"
                   "first = open(sys.argv[1], 'a')\n"
                   "fcntl.flock(first, fcntl.LOCK_EX)\n"
                   "threading.Thread(target=wait).start()\n"
                   "sys.stdin.readline()\n"
                   "fcntl.flock(first, fcntl.LOCK_UN)\n",
                   dir / ".grex-lock"});
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  CHECK_FALSE(status_of(dir.path()).contains("deadlocks"));
  threads.write("\n");
  CHECK(threads.wait() == exited(0));
}

TEST_CASE("a process that waits for a lock it gave away is no deadlock") {
  const TempDir dir;
  Process giver({"python3", "-c",
                 "import fcntl, os, subprocess, sys\n"
                 "lock = open(sys.argv[1], 'a')\n"
                 "fcntl.flock(lock, fcntl.LOCK_EX)\n"
                 "child = subprocess.Popen(['sh', '-c', 'read line'], pass_fds=[lock.fileno()])\n"
                 "lock.close()\n"
                 "fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX)\n"
                 "print('mine')\n",
                 dir / ".grex-lock"});
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  const json document = status_of(dir.path());
  CHECK(document["locks"][2]["waiters"].size() == 1);
  CHECK_FALSE(document.contains("deadlocks"));
  giver.write("\n");
  CHECK(giver.line() == "mine");
}

namespace {

// A stand-in for grex: one thread waits for the lock, silently and forever, and others are
// busy all the time.
Words busy_waiter(const std::string& file) {
  return {"python3", "-c",
          "import fcntl, sys, threading, time\n"
          "def wait():\n"
          "  fcntl.flock(open(sys.argv[1], 'a'), fcntl.LOCK_EX)\n"
          "def work():\n"
          "  while True: time.sleep(0.001)\n"
          "threading.Thread(target=work, daemon=True).start()\n"
          "threading.Thread(target=wait, daemon=True).start()\n"
          "work()\n",
          file};
}

Words under(Words words, const Words& command) {
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

}  // namespace

TEST_CASE(
    "a process that waits for a lock that it inherited, or that run holds above it, is a deadlock, "
    "whatever its other threads do") {
  const TempDir dir;
  for (const char* const option : {"--linger", "--close"}) {
    CAPTURE(option);
    const std::string pack = dir.make(option);
    Process run(under(grex_lock({"run", option, pack, "--"}), busy_waiter(pack + "/.grex-lock")));
    until([&pack] { return waiters_on(pack + "/.grex-lock") == 1; });
    const json document = status_of(pack);
    CHECK(document["deadlocks"] == json::array({{waiter_of(document)}}));
    const std::string text = run_tool({"status", pack}).out;
    CHECK(text.starts_with("deadlock: this process waits for a lock that is held until this process ends\n"));
    const std::string pid = std::to_string(waiter_of(document));
    CHECK(has(text, "    waits for " + pack + "/.grex-lock\n  to break it: kill " + pid + "\n"));
  }
}

TEST_CASE("a daemon that waits for the lock of the command that left it behind is no deadlock") {
  const TempDir dir;
  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c",
                         "python3 -c 'import fcntl, os, sys\n"
                         "if os.fork(): os._exit(0)\n"
                         "os.setsid()\n"
                         "print(os.getpid(), flush=True)\n"
                         "fcntl.flock(open(sys.argv[1], \"a\"), fcntl.LOCK_EX)\n"
                         "print(\"mine\", flush=True)' .grex-lock; read -r line"}),
              in(dir.path()));
  const pid_t daemon = std::stoi(run.line());
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  CHECK_FALSE(status_of(dir.path()).contains("deadlocks"));
  run.write("\n");
  CHECK(run.line() == "mine");
  CHECK(run.wait() == exited(0));
  reap(daemon);
}

TEST_CASE("a process that has one file of a lock and waits for the other is a waiter, and the graph shows both files") {
  const TempDir dir;
  const std::string pack = dir.make("a");
  const Fd nested = lock_as_grex(pack + "/.grex/.grex-lock");
  Process waiter(grex_lock({"run", "-q", pack, "--", "true"}));
  until([&pack] { return waiters_on(pack + "/.grex/.grex-lock") == 1; });
  const json lock = status_of(pack)["locks"][2];
  REQUIRE(lock["waiters"].size() == 1);
  CHECK(lock["waiters"][0]["pid"] == waiter.pid());
  CHECK(lock["waiters"][0]["file"] == pack + "/.grex/.grex-lock");
  for (const json& holder : lock["holders"]) CHECK(holder["pid"] != waiter.pid());
  const std::string dot = run_tool({"status", "--graph", pack}).out;
  const std::string pid = "\"" + std::to_string(waiter.pid()) + "\"";
  CHECK(has(dot, "\"" + pack + "/.grex-lock\" -> " + pid));
  CHECK(has(dot, pid + " -> \"" + pack + "/.grex/.grex-lock\""));
}
