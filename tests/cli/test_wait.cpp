// The command `wait`. What all waits have in common is in test_waiting.cpp.

#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

TEST_CASE("wait for a free lock returns, and creates and keeps nothing") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  CHECK(run_tool({"wait", pack, "-l", "semaphore:" + dir.path(), "-l", "backend:" + dir.path() + "/new"}).ended ==
        exited(0));
  CHECK(std::filesystem::is_empty(pack));
  CHECK(std::distance(std::filesystem::directory_iterator(dir.path()), {}) == 1);
  write_file(pack + "/.grex-lock", "content");
  const json document = json::parse(run_tool({"wait", "--json", pack}).out);
  CHECK(document["verb"] == "wait");
  CHECK(document["waited_ms"].is_number_unsigned());
  CHECK(content_of(pack + "/.grex-lock") == "content");
  // A leftover record, which a lock would replace, stays, too.
  std::filesystem::remove(pack + "/.grex-lock");
  const std::string record = run_tool({"run", pack, "--", "cat", pack + "/.grex/.grex-lock"}).out;
  CHECK(record.starts_with("{\"pid\":"));
  write_file(pack + "/.grex-lock", record);
  CHECK(run_tool({"wait", pack}).ended == exited(0));
  CHECK(content_of(pack + "/.grex-lock") == record);
  CHECK_FALSE(is_locked(pack + "/.grex-lock"));
}

TEST_CASE("wait ends when all locks are free, and keeps none in the meantime") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  Fd first = lock_as_grex(a + "/.grex-lock");
  Fd second = lock_as_grex(b + "/.grex-lock");
  Process waiter(grex_lock({"wait", a, b}));
  until([&a] { return waiters_on(a + "/.grex-lock") == 1; });
  first.reset();
  until([&b] { return waiters_on(b + "/.grex-lock") == 1; });
  CHECK_FALSE(is_locked(a + "/.grex-lock"));
  first = lock_as_grex(a + "/.grex-lock");  // busy again: all must be free
  second.reset();
  until([&a] { return waiters_on(a + "/.grex-lock") == 1; });
  CHECK_FALSE(is_locked(b + "/.grex-lock"));
  first.reset();
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("if a pack is replaced during the wait, the new one is waited for") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  Fd first = lock_as_grex(a + "/.grex-lock");
  Process waiter(grex_lock({"wait", a, b}));
  until([&a] { return waiters_on(a + "/.grex-lock") == 1; });
  std::filesystem::rename(b, dir / "old");
  dir.make("b");
  Fd second = lock_as_grex(b + "/.grex-lock");
  first.reset();
  until([&b] { return waiters_on(b + "/.grex-lock") == 1; });
  second.reset();
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("a shared wait passes sharers and an exclusive one does not") {
  const TempDir dir;
  Process sharer(grex_lock({"hold", "-s", dir.path()}));
  sharer.line();
  CHECK(run_tool({"wait", "-n", "-s", dir.path()}).ended == exited(0));
  const Finished busy = run_tool({"wait", "-n", dir.path()});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find("held by pid " + std::to_string(sharer.pid())) != std::string::npos);
}

TEST_CASE("wait ends at its timeout, and at a signal") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  const Finished late = run_tool({"wait", "-w", "1ms", dir.path()});
  CHECK(late.ended == exited(75));
  CHECK(late.err.starts_with("grex-lock: timed out after "));
  CHECK(run_tool({"wait", "-w", "1ms", "-E", "0", dir.path()}).ended == exited(0));
  Process waiter(grex_lock({"wait", dir.path()}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  waiter.signal(SIGTERM);
  CHECK(waiter.wait() == exited(128 + SIGTERM));
}

TEST_CASE("wait for a slot ends when any is free") {
  const TempDir dir;
  Fd first = lock_as_grex(dir / ".grex/.grex.slot-0.lock");
  Fd second = lock_as_grex(dir / ".grex/.grex.slot-1.lock");
  Process waiter(grex_lock({"wait", "-t", "semaphore", "--slots", "2", dir.path()}));
  until([&dir] { return waiters_on(dir / ".grex/.grex.slot-1.lock") == 1; });
  second.reset();
  CHECK(waiter.wait() == exited(0));
  CHECK_FALSE(is_locked(dir / ".grex/.grex.slot-1.lock"));
}

TEST_CASE("waiting for an ancestor's lock, or against the order, is refused as taking it is") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", grex_lock(), "wait", dir.path()}).ended == exited(75));
  CHECK(run_tool({"run", dir.path(), "--", grex_lock(), "wait", "-t", "workspace-sync", dir.path()}).ended ==
        exited(76));
  CHECK(run_tool({"run", dir.path(), "--", grex_lock(), "wait", "--reentrant", dir.path()}).ended == exited(0));
  CHECK(run_tool({"wait", dir / "none"}).ended == exited(66));
  CHECK(run_tool({"wait"}, {.directory = "/"}).ended == exited(64));
}
