// The tests of the seed's `mod tests`, adapted: processes replace its tasks, and signals
// its cancellation tokens.

#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

Process holder_of(const std::string& pack) {
  Words words = grex_lock({"run", pack, "--"});
  for (const std::string& word : until_input_closes()) words.push_back(word);
  Process holder(words);
  CHECK(holder.line() == "ready");
  return holder;
}

// Starts a run, and returns once it waits.
Process waiter_for(const std::string& pack) {
  Process waiter(grex_lock({"run", pack, "--", "echo", "locked"}));
  until([&pack] { return waiters_on(pack + "/.grex-lock") == 1; });
  return waiter;
}

}  // namespace

TEST_CASE("seed pack_lock_acquires_creates_file") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "test", "-f", dir / ".grex-lock"}).ended == exited(0));
  CHECK(exists(dir / ".grex-lock"));
}

TEST_CASE("seed pack_lock_second_try_acquire_reports_busy_while_held") {
  const TempDir dir;
  Process holder = holder_of(dir.path());
  const Finished second = run_tool({"probe", dir.path()});
  CHECK(second.ended == exited(75));
  CHECK(second.err.starts_with("grex-lock: busy: " + dir.path() + "/.grex-lock: held by pid " +
                               std::to_string(holder.pid())));
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(75));
}

TEST_CASE("seed pack_lock_release_on_drop") {
  const TempDir dir;
  for (int i = 0; i < 2; ++i) {
    CHECK(run_tool({"run", "-n", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}).ended == exited(1));
  }
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(0));
}

TEST_CASE("seed pack_lock_path_contains_pack_path") {
  const TempDir dir;
  const Finished tiers = run_tool({"tiers", dir.path()});
  CHECK(tiers.out.find(" " + dir.path() + "/.grex-lock\n") != std::string::npos);
}

TEST_CASE("seed pack_lock_blocking_acquire_waits_for_holder") {
  const TempDir dir;
  Process holder = holder_of(dir.path());
  Process second = waiter_for(dir.path());
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  CHECK(second.line() == "locked");
  CHECK(second.wait() == exited(0));
}

TEST_CASE("seed pack_lock_distinct_paths_do_not_contend") {
  const TempDir dir;
  const std::string b = dir.make("b");
  const Process holder = holder_of(dir.make("a"));
  CHECK(run_tool({"probe", b}).ended == exited(0));
  CHECK(run_tool({"run", "-n", b, "--", "true"}).ended == exited(0));
}

TEST_CASE("seed async_acquire_serialises") {
  const TempDir dir;
  const std::string job = "mkdir " + (dir / "inside") + " && echo in && read line; rmdir " + (dir / "inside");
  Process first(grex_lock({"run", dir.path(), "--", "sh", "-c", job}));
  CHECK(first.line() == "in");
  Process second(grex_lock({"run", dir.path(), "--", "sh", "-c", job}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  first.close_input();
  CHECK(first.wait() == exited(0));
  CHECK(second.line() == "in");
  second.close_input();
  CHECK(second.wait() == exited(0));
}

TEST_CASE("seed tier_strictly_increasing_ok") {
  const TempDir dir;
  const std::string tool = grex_lock();
  CHECK(run_tool(
            {"run", "-t", "workspace-sync", dir.path(), "--", tool,  "run", "-t", "semaphore", dir.path(), "--", tool,
             "run", "-t", "per-pack",       dir.path(), "--", tool,  "run", "-t", "backend",   dir.path(), "--", tool,
             "run", "-t", "manifest",       dir.path(), "--", "true"})
            .ended == exited(0));
  const Finished stack = run_tool({"run", "-t", "workspace-sync", dir.path(), "--", tool, "run", "-t", "per-pack",
                                   dir.path(), "--", tool, "run", "-t", "manifest", dir.path(), "--", tool, "stack"});
  CHECK(std::count(stack.out.begin(), stack.out.end(), '\n') == 5);  // one for each file
  CHECK(stack.out.find("(stale)") == std::string::npos);
}

TEST_CASE("seed tier_reversed_panics") {
  const TempDir dir;
  const Finished reversed =
      run_tool({"run", dir.path(), "--", grex_lock(), "run", "-t", "semaphore", dir.path(), "--", "true"});
  CHECK(reversed.ended == exited(76));
  CHECK(reversed.err.find("semaphore must be taken before per-pack " + dir.path() + "/.grex-lock") !=
        std::string::npos);
}

TEST_CASE("seed with_tier_scope starts on a fresh stack") {
  const TempDir dir;
  CHECK(run_tool(
            {"run", "--new-scope", dir.path(), "--", grex_lock(), "run", "-t", "semaphore", dir.path(), "--", "true"})
            .ended == exited(0));
}

TEST_CASE("seed acquire_cancellable_happy_path") {
  const TempDir dir;
  CHECK(run_tool({"run", "-w", "60", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "-w", "60", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}).ended == exited(1));
}

TEST_CASE("seed acquire_cancellable_cancel_during_blocking_fd_lock_returns_cancelled") {
  const TempDir dir;
  const Process holder = holder_of(dir.path());
  Process second = waiter_for(dir.path());
  second.signal(SIGTERM);
  CHECK(second.wait() == exited(128 + SIGTERM));
  CHECK(second.error_rest() == "grex-lock: cancelled: " + dir.path() + "/.grex-lock: SIGTERM ended the wait\n");
}

TEST_CASE("seed acquire_cancellable leaves no leak window") {
  const TempDir dir;
  Process holder = holder_of(dir.path());
  Process second = waiter_for(dir.path());
  second.signal(SIGINT);
  CHECK(second.wait() == exited(128 + SIGINT));
  CHECK(waiters_on(dir / ".grex-lock") == 0);  // immediately, not when the holder is done
  holder.close_input();
  CHECK(holder.wait() == exited(0));
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(0));
}

TEST_CASE("seed acquire_cancellable_cancel_during_async_mutex_wait: a waiter behind a waiter is cancelled as well") {
  const TempDir dir;
  Process holder = holder_of(dir.path());
  Process second = waiter_for(dir.path());
  Process third(grex_lock({"run", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 2; });
  third.signal(SIGHUP);
  CHECK(third.wait() == exited(128 + SIGHUP));
  CHECK(waiters_on(dir / ".grex-lock") == 1);
  holder.close_input();
  CHECK(second.wait() == exited(0));
}

TEST_CASE("seed stress: a hundred processes on one pack are one at a time") {
  const TempDir dir;
  // Creating a directory is exclusive by itself: an overlap would make it fail.
  const std::string critical = "mkdir " + (dir / "inside") + " && n=$(cat " + (dir / "count") +
                               ") && echo $((n + 1)) > " + (dir / "count") + " && rmdir " + (dir / "inside");
  write_file(dir / "count", "0\n");
  const int count = tries(100);
  std::vector<Process> processes;
  for (int i = 0; i < count; ++i) processes.emplace_back(grex_lock({"run", dir.path(), "--", "sh", "-c", critical}));
  for (Process& process : processes) CHECK(process.wait() == exited(0));
  CHECK(content_of(dir / "count") == std::to_string(count) + "\n");
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
}
