#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

void until_waiting(const TempDir& dir, std::size_t count = 1) {
  until([&dir, count] { return waiters_on(dir / ".grex-lock") == count; });
}

}  // namespace

TEST_CASE("-n never waits, and -w 0 is -n") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  for (const auto& words :
       {grex_lock({"run", "-n", dir.path(), "--", "true"}), grex_lock({"run", "--nonblock", dir.path(), "--", "true"}),
        grex_lock({"run", "-w", "0", dir.path(), "--", "true"})}) {
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(75));
    CHECK(finished.err.starts_with("grex-lock: busy: "));
  }
}

// SECURITY.md: keep a lock on a file that they can open | they can; `status` shows them, `-n` and `-w` end the wait
TEST_CASE("-w gives up after its time and not before") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  // Time must pass here: the test is that enough of it does.
  const auto start = Clock::now();
  const Finished finished = run_tool({"run", "-w", "250ms", dir.path(), "--", "true"});
  CHECK(Clock::now() - start >= 250ms);
  CHECK(finished.ended == exited(75));
  CHECK(finished.err.starts_with("grex-lock: timed out after "));
  CHECK(waiters_on(dir / ".grex-lock") == 0);
}

TEST_CASE("GREX_LOCK_TIMEOUT sets the default, and -w and -n override it") {
  const TempDir dir;
  Stranger stranger(dir / ".grex-lock");
  const Setup short_time = {.environment = {{"GREX_LOCK_TIMEOUT", "10ms"}}};
  CHECK(run_tool({"run", dir.path(), "--", "true"}, short_time).err.starts_with("grex-lock: timed out after "));
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}, short_time).err.starts_with("grex-lock: busy: "));
  Process waiter(grex_lock({"run", "-w", "60", dir.path(), "--", "true"}), short_time);
  until_waiting(dir);
  stranger.release();
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("the last value of a repeated option counts, so that an alias can be overridden") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-w", "1h", "-w", "1ms", "-E", "3", "-E", "4", dir.path(), "--", "true"}).ended == exited(4));
}

TEST_CASE("-E changes the exit code of busy and of timeout only") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-n", "-E", "9", dir.path(), "--", "true"}).ended == exited(9));
  CHECK(run_tool({"run", "-w", "1ms", "-E", "0", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(run_tool({"probe", "--conflict-exit-code", "255", dir.path()}).ended == exited(255));
  CHECK(run_tool({"run", "-n", "-E", "9", dir / "none", "--", "true"}).ended == exited(66));
}

TEST_CASE("sharers wait for an exclusive holder and run side by side") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Words words = grex_lock({"run", "-s", dir.path(), "--"});
  for (const std::string& word : until_input_closes()) words.push_back(word);
  Process first(words);
  Process second(words);
  until_waiting(dir, 2);
  lock.reset();
  CHECK(first.line() == "ready");
  CHECK(second.line() == "ready");  // while the first still holds
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(75));
}

TEST_CASE("grex-lock and grex exclude each other") {
  const TempDir dir;
  {
    const Fd lock = lock_as_grex(dir / ".grex-lock");
    CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(75));
  }
  CHECK(run_tool({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}).ended == exited(1));
  CHECK(run_tool({"run", dir.path(), "--", "python3", "-c",
                  "import fcntl, sys\n"
                  "try: fcntl.flock(open('" +
                      (dir / ".grex-lock") +
                      "'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
                      "except BlockingIOError: sys.exit(7)"})
            .ended == exited(7));
}

TEST_CASE("a waiter killed by SIGKILL leaves nothing that could take the lock") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process waiter(grex_lock({"run", dir.path(), "--", "true"}));
  until_waiting(dir);
  waiter.signal(SIGKILL);
  CHECK(waiter.wait() == killed_by(SIGKILL));
  CHECK(waiters_on(dir / ".grex-lock") == 0);
  lock.reset();
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  CHECK_FALSE(left_children());
}

TEST_CASE("a waiter sleeps in the kernel: its processor time does not grow with the wait") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process waiter(grex_lock({"run", dir.path(), "--", "true"}));
  until_waiting(dir);
  // How often it has left a processor.
  const auto switch_counts = [&waiter] {
    const std::string status = content_of("/proc/" + std::to_string(waiter.pid()) + "/status");
    return status.substr(status.find("\nvoluntary_ctxt_switches"));
  };
  const auto sleeps = [&waiter] { return state_of(waiter.pid()) == 'S'; };
  until(sleeps);
  const std::string at_first = switch_counts();
  until([&] { return switch_counts() != at_first; });  // looks whether it waits for itself
  until_waiting(dir);
  until(sleeps);
  const std::string before = switch_counts();
  // A process that polls would be on a processor again while this runs to its end.
  CHECK(run_tool({"run", "-w", "300ms", dir.path(), "--", "true"}).ended == exited(75));
  CHECK(switch_counts() == before);
  lock.reset();
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("a signal that was ignored when grex-lock began does not end the wait") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process waiter(grex_lock({"run", dir.path(), "--", "true"}), {.before_exec = [] { ::signal(SIGHUP, SIG_IGN); }});
  until_waiting(dir);
  waiter.signal(SIGHUP);
  until([&waiter] { return state_of(waiter.pid()) == 'S'; });
  lock.reset();
  CHECK(waiter.wait() == exited(0));
}

// SECURITY.md: replace the pack or its lock file during the wait | grex-lock starts again with what the path names now
TEST_CASE("a lock file that is removed during the wait is not the one that is locked in the end") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process waiter(grex_lock({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}));
  until_waiting(dir);
  std::filesystem::rename(dir / ".grex-lock", dir / "removed");
  lock.reset();
  CHECK(waiter.wait() == exited(1));  // the file of that name is the locked one
}

// SECURITY.md: replace the pack or its lock file during the wait | grex-lock starts again with what the path names now
TEST_CASE("a pack that is replaced during the wait is locked where its path leads now") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  Fd lock = lock_as_grex(pack + "/.grex-lock");
  Process waiter(grex_lock({"run", pack, "--", "flock", "-n", pack + "/.grex-lock", "true"}));
  until([&pack] { return waiters_on(pack + "/.grex-lock") == 1; });
  std::filesystem::rename(pack, dir / "old");
  dir.make("app");
  lock.reset();
  CHECK(waiter.wait() == exited(1));
}

TEST_CASE("a pack that is removed during the wait is an error") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  Fd lock = lock_as_grex(pack + "/.grex-lock");
  Process waiter(grex_lock({"run", pack, "--", "true"}));
  until([&pack] { return waiters_on(pack + "/.grex-lock") == 1; });
  std::filesystem::remove_all(pack);
  lock.reset();
  CHECK(waiter.wait() == exited(66));
}

TEST_CASE("the deadline holds for the whole wait, replaced files included") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  // Time must pass here: it ends the wait.
  Process waiter(grex_lock({"run", "-w", "2s", dir.path(), "--", "true"}));
  until_waiting(dir);
  std::filesystem::rename(dir / ".grex-lock", dir / "removed");
  const Fd fresh = lock_as_grex(dir / ".grex-lock");
  lock.reset();
  until_waiting(dir);  // for the new one
  CHECK(waiter.wait() == exited(75));

  // However often the wait begins again, it gets no more time.
  const TempDir other;
  Fd current = lock_as_grex(other / ".grex-lock");
  Process restless(grex_lock({"run", "-w", "300ms", other.path(), "--", "true"}));
  until([&] {
    if (waiters_on(other / ".grex-lock") == 1) {
      std::filesystem::rename(other / ".grex-lock", other / "removed");
      current = lock_as_grex(other / ".grex-lock");
    }
    return state_of(restless.pid()) == 'Z';
  });
  CHECK(restless.wait() == exited(75));
}

TEST_CASE("waits need no room for queued signals") {
  const TempDir dir;
  const Setup none_queued = {.before_exec = [] {
    const rlimit none = {0, 0};
    ::setrlimit(RLIMIT_SIGPENDING, &none);
  }};
  Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-w", "10ms", dir.path(), "--", "true"}, none_queued).ended == exited(75));
  for (const char* const how : {"--quiet", "--no-fork"}) {
    CAPTURE(how);
    Process cancelled(grex_lock({"run", how, dir.path(), "--", "true"}), none_queued);
    until_waiting(dir);
    cancelled.signal(SIGTERM);
    CHECK(cancelled.wait() == exited(128 + SIGTERM));
    CHECK(waiters_on(dir / ".grex-lock") == 0);
    // Signals reach the command, too.
    Process waiter(grex_lock({"run", how, dir.path(), "--", "sh", "-c",
                              "trap 'echo trapped; exit 3' TERM; echo ready; while :; do read line; done"}),
                   none_queued);
    until_waiting(dir);
    lock.reset();
    CHECK(waiter.line() == "ready");
    waiter.signal(SIGTERM);
    CHECK(waiter.line() == "trapped");
    CHECK(waiter.wait() == exited(3));
    lock = lock_as_grex(dir / ".grex-lock");
  }
  // The end of another process is announced by a signal.
  Process other(until_input_closes());
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(other.pid()), dir.path()}), none_queued);
  until_waiting(dir);
  other.close_input();
  CHECK(hold.wait() == exited(128 + SIGTERM));
  Process waiting(grex_lock({"wait", dir.path()}), none_queued);
  until_waiting(dir);
  Process fd(bash("exec 9>>.grex-lock; \"$LOCK\" fd -x 9; echo $?"), [&] {
    Setup setup = in(dir.path());
    setup.before_exec = none_queued.before_exec;
    return setup;
  }());
  until_waiting(dir, 2);
  lock.reset();
  CHECK(fd.line() == "0");
  CHECK(waiting.wait() == exited(0));
}

TEST_CASE("a slot is waited for at tier semaphore") {
  const TempDir dir;
  const Setup two = {.environment = {{"GREX_PARALLEL", "2"}}};
  Words words = grex_lock({"run", "-t", "semaphore", dir.path(), "--"});
  for (const std::string& word : until_input_closes()) words.push_back(word);
  Process first(words, two);
  Process second(words, two);
  CHECK(first.line() == "ready");
  CHECK(second.line() == "ready");
  CHECK(run_tool({"run", "-n", "-t", "semaphore", dir.path(), "--", "true"}, two).ended == exited(75));
  Process third(words, two);
  until([&dir] {
    return waiters_on(dir / ".grex/.grex.slot-0.lock") == 1 && waiters_on(dir / ".grex/.grex.slot-1.lock") == 1;
  });
  second.close_input();  // while the first holds its own
  CHECK(third.line() == "ready");
  const Setup unbounded = {.environment = {{"GREX_PARALLEL", "0"}}};
  CHECK(run_tool({"run", "-n", "-t", "semaphore", dir.path(), "--", "true"}, unbounded).ended == exited(0));
}

TEST_CASE("-v shows on stderr what is waited for and what is locked") {
  const TempDir dir;
  Stranger stranger(dir / ".grex-lock");
  Process waiter(grex_lock({"run", "-v", dir.path(), "--", "echo", "out"}));
  CHECK(waiter.error_line().starts_with("grex-lock: waiting for " + dir.path() + "/.grex-lock: held by pid "));
  stranger.release();
  CHECK(waiter.error_line().starts_with("grex-lock: locked " + dir.path() + "/.grex-lock after "));
  CHECK(waiter.error_line() == "grex-lock: unlocked " + dir.path() + "/.grex-lock");
  CHECK(waiter.rest() == "out\n");
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("-v shows how long a lock was waited for only if another process was in the way") {
  const TempDir dir;
  const std::string path = dir / ".grex-lock";
  CHECK(run_tool({"run", "-v", dir.path(), "--", "true"}).err ==
        "grex-lock: locked " + path + "\ngrex-lock: unlocked " + path + "\n");
  CHECK(run_tool({"run", "-v", "--linger", dir.path(), "--", "true"}).err ==
        "grex-lock: locked " + path + "\ngrex-lock: left locked for the processes of CMD: " + path + "\n");
  CHECK(run_tool({"run", "-v", "-t", "semaphore", "--slots=0", dir.path(), "--", "true"}).err ==
        "grex-lock: nothing to lock: --slots 0 means no limit\n");
}

TEST_CASE("a timeout is reported as it was given") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  for (const auto& [given, shown] : {std::pair("0.2", "0.2s"), std::pair("250ms", "250ms"), std::pair("1.0", "1s")}) {
    const std::string start = "grex-lock: timed out after " + std::string(shown) + ": " + dir / ".grex-lock" + ": held";
    CHECK(run_tool({"wait", "-w", given, dir.path()}).err.starts_with(start));
  }
}

TEST_CASE("a long wait is reported after a second, in one line if stderr is no terminal") {
  const TempDir dir;
  Process holder(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo ready; read line"}));
  CHECK(holder.line() == "ready");
  Process waiter(grex_lock({"run", dir.path(), "--", "echo", "mine"}));
  const std::string report = waiter.error_line();
  CHECK(report.starts_with("grex-lock: waiting "));
  CHECK(report.find("s for " + (dir / ".grex-lock") + ": held by pid " + std::to_string(holder.pid())) !=
        std::string::npos);
  CHECK(report.ends_with(": [nightly] sh -c 'echo ready; read line'"));
  holder.close_input();
  CHECK(waiter.line() == "mine");
  CHECK(waiter.error_rest().empty());
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("waiters ahead of us are counted, and those for a slot too") {
  const TempDir dir;
  Process holder(
      grex_lock({"run", "-t", "semaphore", "--slots=2", dir.path(), "--", "sh", "-c", "echo ready; read line"}));
  CHECK(holder.line() == "ready");
  const Stranger other(dir / ".grex/.grex.slot-1.lock");
  const auto wait_for_one = [&dir] {
    return grex_lock({"run", "-q", "-t", "semaphore", "--slots=2", dir.path(), "--", "true"});
  };
  Process first(wait_for_one());
  until([&dir] { return waiters_on(dir / ".grex/.grex.slot-1.lock") == 1; });
  Process second(wait_for_one());
  until([&dir] { return waiters_on(dir / ".grex/.grex.slot-queue-2.lock") == 1; });
  Process waiter(grex_lock({"run", "-t", "semaphore", "--slots=2", dir.path(), "--", "true"}));
  const std::string slots = "s for a slot (2 of 2 in use): " + dir.path() + ", 2 ahead: pid ";
  CHECK(waiter.error_line().find(slots) != std::string::npos);
  holder.close_input();
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("-q and --json keep a wait silent") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  // Time must pass here: more than the second after which a wait is reported.
  CHECK(run_tool({"wait", "-q", "-w", "1100ms", dir.path()}).err.empty());
  const Finished json = run_tool({"run", "--json", "-w", "1100ms", dir.path(), "--", "true"});
  CHECK(json.err.starts_with("{\"verb\":\"run\""));
}
