// Gates: overlapping sharers don't keep an exclusive waiter waiting, and nothing hangs for it.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

std::string gate_of(const TempDir& dir) { return dir / ".grex/.grex-lock.gate"; }

bool is_waited_at(const std::string& path) { return exists(path) && waiters_on(path) > 0; }

// A sharer that is in, until its input closes.
Process sharer(const TempDir& dir) {
  Process process(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo in; read line"}));
  CHECK(process.line() == "in");
  return process;
}

// A process that waits for the exclusive lock, in the gate.
Process waiter(const TempDir& dir) {
  Process process(grex_lock({"run", "-w", "1h", dir.path(), "--", "echo", "mine"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1 && is_locked(gate_of(dir)); });
  return process;
}

// The same, but one that never leaves the gate: for a test in which another process must be
// in front of it, however long it takes to get there.
Process lasting_waiter(const TempDir& dir) {
  Process process({"python3", "-c",
                   "import fcntl, sys\n"
                   "gate, lock = open(sys.argv[1]), open(sys.argv[2])\n"
                   "fcntl.flock(gate, fcntl.LOCK_EX)\n"
                   "fcntl.flock(lock, fcntl.LOCK_EX)\n",
                   gate_of(dir), dir / ".grex-lock"});
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  return process;
}

// What a sharer that does not wait for others says about that: nothing.
Finished verbose_sharer(const TempDir& dir) { return run_tool({"run", "-v", "-s", dir.path(), "--", "true"}); }

bool has_waited(const std::string& notes) { return notes.find("waiting for") != std::string::npos; }

// Starts sharers, each of which ends as soon as the next one is in, until one waits in front
// of the gate, and returns that one: it comes after the waiter. If a sharer takes longer to
// start than a waiter stays in its gate, there are more of them.
Process overlap(Process& first, const Words& words, const TempDir& dir, const std::string& gate) {
  std::vector<Process> sharers;
  for (;;) {
    REQUIRE(sharers.size() < 100);
    const std::string mark = dir / ("in." + std::to_string(sharers.size()));
    Words command = words;
    for (const char* const word : {"--", "sh", "-c"}) command.emplace_back(word);
    command.push_back("echo in; : >" + mark + "; read line");
    Process next(command);
    bool waits = false;
    until([&] {
      waits = is_waited_at(gate);
      return waits || exists(mark);
    });
    Process& last = sharers.empty() ? first : sharers.back();
    last.close_input();
    CHECK(last.wait() == exited(1));
    if (waits) return next;
    sharers.push_back(std::move(next));
  }
}

}  // namespace

TEST_CASE("an exclusive waiter gets in although sharers overlap, and they after it") {
  const TempDir dir;
  Process first = sharer(dir);
  Process exclusive = waiter(dir);
  Process next = overlap(first, grex_lock({"run", "-s", dir.path()}), dir, gate_of(dir));
  CHECK(exclusive.line() == "mine");
  CHECK(exclusive.wait() == exited(0));
  CHECK(next.line() == "in");
  next.close_input();
  CHECK(next.wait() == exited(1));
  CHECK_FALSE(is_locked(gate_of(dir)));
}

TEST_CASE("guarded jobs that overlap don't keep a waiter for the workspace waiting") {
  const TempDir dir;
  dir.make(".grex");
  write_file(dir / ".grex/pack.yaml", "");
  const std::string pack = dir.make("pack");
  const std::string other = dir.make("other");
  Process first(grex_lock({"run", "--guard", pack, "--", "sh", "-c", "echo in; read line"}));
  CHECK(first.line() == "in");
  Process exclusive(grex_lock({"run", "-t", "workspace-sync", dir.path(), "--", "echo", "mine"}));
  const std::string gate = dir / ".grex/.grex.sync.lock.gate";
  until([&] { return waiters_on(dir / ".grex.sync.lock") == 1 && is_locked(gate); });
  Process next = overlap(first, grex_lock({"run", "--guard", other}), dir, gate);
  CHECK(exclusive.line() == "mine");
  CHECK(next.line() == "in");
}

TEST_CASE("a waiter that has another of its locks already gets in although sharers overlap") {
  const TempDir dir;
  const auto [free, shared] = dir.make_two();
  Process first(grex_lock({"run", "-s", shared, "--", "sh", "-c", "echo in; read line"}));
  CHECK(first.line() == "in");
  Process exclusive(grex_lock({"run", free, shared, "--", "echo", "mine"}));
  const std::string gate = shared + "/.grex/.grex-lock.gate";
  until([&, &lock = shared] { return waiters_on(lock + "/.grex-lock") == 1 && is_locked(gate); });
  CHECK(is_locked(free + "/.grex-lock"));
  Process next = overlap(first, grex_lock({"run", "-s", shared}), dir, gate);
  CHECK(exclusive.line() == "mine");
  CHECK(next.line() == "in");
}

TEST_CASE("sharers share, and don't wait if no process waits for the exclusive lock") {
  const TempDir dir;
  const Process first = sharer(dir);
  const Finished second = verbose_sharer(dir);
  CHECK(second.ended == exited(0));
  CHECK_FALSE(has_waited(second.err));
}

TEST_CASE("a lock that is never shared has no gate, and neither have slots and what doesn't wait") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "-n", "-s", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(run_tool({"probe", "-s", dir.path()}).ended == exited(0));
  CHECK(run_tool({"wait", "-s", dir.path()}).ended == exited(0));
  CHECK(run_tool({"run", "-s", "-t", "semaphore", "--slots", "1", dir.path(), "--", "true"}).ended == exited(0));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir.path())) {
    CHECK(entry.path().extension() != ".gate");
  }
  CHECK(run_tool({"run", "-s", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(exists(gate_of(dir)));
  CHECK_FALSE(exists(dir / ".grex-lock.gate"));
}

TEST_CASE("each layout has its gate beside the last file") {
  const TempDir dir;
  CHECK(run_tool({"run", "-s", "--layout", "flat", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(exists(dir / ".grex-lock.gate"));
  CHECK_FALSE(exists(gate_of(dir)));
  for (const char* const tier : {"workspace-sync", "manifest", "backend"}) {
    CHECK(run_tool({"run", "-s", "-t", tier, dir / "clone", "--create", "--", "true"}).ended == exited(0));
  }
  CHECK(exists(dir / "clone/.grex/.grex.sync.lock.gate"));
  CHECK(exists(dir / "clone/.grex/.grex.lock.gate"));
  CHECK(exists(dir / ".grex-backend-clone.lock.gate"));
}

TEST_CASE("a child of a sharer that shares the same lock doesn't wait behind a waiter, whatever it inherited") {
  for (const char* const above : {"\"$LOCK\" run -s . --", "\"$LOCK\" run -s --close . --", "flock -s .grex-lock",
                                  "flock -s -o .grex-lock", "\"$LOCK\" run --layout flat -s . --"}) {
    for (const char* const emptied : {"", "env -u GREX_LOCK_STACK ", "env -i LOCK=\"$LOCK\" PATH=\"$PATH\" "}) {
      CAPTURE(above);
      CAPTURE(emptied);
      const TempDir dir;
      CHECK(run_tool({"run", "-s", dir.path(), "--", "true"}).ended == exited(0));
      const std::string work =
          std::string("echo in; read line; ") + emptied + "\"$LOCK\" run -v --reentrant -s . -- echo inside; :";
      Process outer(bash(std::string(above) + " bash -c '" + work + "'"), in(dir.path()));
      CHECK(outer.line() == "in");
      const Process exclusive = waiter(dir);
      outer.write("\n");
      CHECK(outer.line() == "inside");
      CHECK_FALSE(has_waited(outer.error_rest()));
    }
  }
}

TEST_CASE("a job below another lock of that tier doesn't wait in front of a gate") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const Process first = sharer(dir);
  const Process exclusive = waiter(dir);
  const std::string work = "env -u GREX_LOCK_STACK \"$LOCK\" run -v -s . -- echo inside";
  const Finished below = finish(bash("\"$LOCK\" run -s pack -- bash -c '" + work + "'"), in(dir.path()));
  CHECK(below.out == "inside\n");
  CHECK_FALSE(has_waited(below.err));
}

TEST_CASE("a waiter that ends or stops leaves nothing in the way of sharers") {
  for (const int signal : {SIGKILL, SIGTERM, SIGSTOP, SIGTSTP}) {
    CAPTURE(signal);
    const TempDir dir;
    Process first = sharer(dir);
    Process exclusive = waiter(dir);
    const std::string mark = dir / "early";
    Process early(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo in; : >" + mark}));
    until([&] { return is_waited_at(gate_of(dir)) || exists(mark); });
    exclusive.signal(signal);
    CHECK(early.line() == "in");
    CHECK(early.wait() == exited(0));
    const bool is_stopped = signal == SIGSTOP || signal == SIGTSTP;
    if (is_stopped) until([&exclusive] { return state_of(exclusive.pid()) == 'T'; });
    const Finished late = verbose_sharer(dir);
    CHECK(late.ended == exited(0));
    CHECK_FALSE(has_waited(late.err));
    if (signal != SIGSTOP) CHECK_FALSE(is_locked(gate_of(dir)));
    if (!is_stopped) continue;
    exclusive.signal(SIGCONT);
    until([&dir] { return waiters_on(dir / ".grex-lock") == 1 && is_locked(gate_of(dir)); });
    first.close_input();
    CHECK(exclusive.line() == "mine");
    CHECK(exclusive.wait() == exited(0));
  }
}

TEST_CASE("a sharer that is stopped at the gate doesn't keep a waiter from it for long") {
  const TempDir dir;
  CHECK(run_tool({"run", "-s", dir.path(), "--", "true"}).ended == exited(0));
  const Fd gate(::open(gate_of(dir).c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::flock(gate.get(), LOCK_SH) == 0);
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process exclusive(grex_lock({"run", dir.path(), "--", "echo", "mine"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  lock.reset();
  CHECK(exclusive.line() == "mine");
}

TEST_CASE("a time limit and a signal also end a wait in front of a gate") {
  const TempDir dir;
  const Process first = sharer(dir);
  const Process exclusive = lasting_waiter(dir);
  const Finished late = run_tool({"run", "-s", "-w", "10ms", dir.path(), "--", "true"});
  CHECK(late.ended == exited(75));
  CHECK(late.err.find("a process waits for the exclusive lock, which comes first") != std::string::npos);
  Process cancelled(grex_lock({"run", "-s", dir.path(), "--", "true"}));
  until([&dir] { return is_waited_at(gate_of(dir)); });
  cancelled.signal(SIGTERM);
  CHECK(cancelled.wait() == exited(128 + SIGTERM));
}

TEST_CASE("what doesn't wait passes a gate that is locked") {
  const TempDir dir;
  const Process first = sharer(dir);
  const Process exclusive = waiter(dir);
  CHECK(run_tool({"run", "-n", "-s", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(run_tool({"probe", "-s", dir.path()}).ended == exited(0));
  CHECK(run_tool({"wait", "-s", "-w", "1h", dir.path()}).ended == exited(0));
}

TEST_CASE("waiters follow each other through the gate") {
  const TempDir dir;
  Process first = sharer(dir);
  Process one = waiter(dir);
  Process two(grex_lock({"run", dir.path(), "--", "echo", "mine"}));
  until([&dir] { return is_waited_at(gate_of(dir)); });
  first.close_input();
  CHECK(one.line() == "mine");
  CHECK(two.line() == "mine");
  CHECK(two.wait() == exited(0));
}

TEST_CASE("a gate that can't be used is none") {
  for (const char* const made : {"mkdir .grex/.grex-lock.gate", "ln -s nowhere .grex/.grex-lock.gate",
                                 "mkfifo .grex/.grex-lock.gate", "ln .grex-lock .grex/.grex-lock.gate"}) {
    CAPTURE(made);
    const TempDir dir;
    dir.make(".grex");
    write_file(dir / ".grex-lock", "");
    CHECK(finish(bash(made), in(dir.path())).ended == exited(0));
    Process first = sharer(dir);
    Process exclusive(grex_lock({"run", dir.path(), "--", "echo", "mine"}));
    until([&dir] { return waiters_on(dir / ".grex-lock") > 0; });
    first.close_input();
    CHECK(exclusive.line() == "mine");
    CHECK(exclusive.wait() == exited(0));
  }
}

TEST_CASE("a process in front of a gate is shown as a waiter of the lock, and the gate as no lock") {
  const TempDir dir;
  Process first = sharer(dir);
  const Process exclusive = lasting_waiter(dir);
  const Process next(grex_lock({"run", "-s", dir.path(), "--", "true"}));
  until([&dir] { return is_waited_at(gate_of(dir)); });
  for (const char* const option : {"--held", "-r"}) {
    CAPTURE(option);
    const json status = json::parse(run_tool({"--json", "status", option, dir.path()}).out);
    std::vector<pid_t> waiters;
    std::size_t held = 0;
    for (const json& lock : status["locks"]) {
      held += lock["state"] == "held" ? 1 : 0;
      if (lock["tier"] != "per-pack") continue;
      CHECK(lock["files"].size() == 2);
      CHECK(lock["mode"] == "shared");
      for (const json& process : lock["waiters"]) waiters.push_back(process["pid"]);
    }
    CHECK(held == 1);
    CHECK(waiters == std::vector<pid_t>{exclusive.pid(), next.pid()});
  }
  // It holds the gate, not the lock.
  CHECK(run_tool({"release", dir.path()}).ended == exited(69));
}

// The gate is left after 10 s: without that, both would wait forever.
TEST_CASE("a sharer for which the holder waits gets in, although no process can see that") {
  const TempDir dir;
  Process first = sharer(dir);
  Process exclusive = waiter(dir);
  Process unrelated(grex_lock({"run", "-s", dir.path(), "--", "echo", "in"}));
  CHECK(unrelated.line() == "in");
  CHECK(unrelated.wait() == exited(0));
  first.close_input();
  CHECK(exclusive.line() == "mine");
}
