// --json-status-fd.

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/events.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

TEST_CASE("a run reports its locks, the start of its command, and how it ended") {
  const TempDir dir;
  const Finished script = finish(bash("\"$LOCK\" run --json-status-fd 3 . -c 'exit 3' 3>&1"), in(dir.path()));
  CHECK(script.ended == exited(3));
  const auto events = events_in(script.out);
  REQUIRE(names_of(events) == Words{"acquired", "started", "released"});
  for (const json& event : events) {
    CHECK(event["time"].get<std::string>().ends_with("Z"));
    REQUIRE(event["locks"].size() == 1);
    CHECK(event["locks"][0]["tier"] == "per-pack");
    CHECK(event["locks"][0]["path"] == dir / ".grex-lock");
    CHECK(event["locks"][0]["mode"] == "exclusive");
  }
  CHECK(events[0]["waited_ms"].is_number_unsigned());
  CHECK(events[1]["pid"].is_number_unsigned());
  CHECK(events[2]["held_ms"].is_number_unsigned());
  CHECK(events[2]["exit_code"] == 3);
}

TEST_CASE("each event is written as it happens: a wait and the holder before the lock is acquired") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process script(bash("\"$LOCK\" run --json-status-fd 3 . -- sh -c 'read line; exit 0' 3>&1"), in(dir.path()));
  const json waiting = json::parse(script.line());
  CHECK(waiting["event"] == "waiting");
  CHECK(waiting["busy"]["path"] == dir / ".grex-lock");
  CHECK(waiting["busy"]["holders"][0]["pid"] == ::getpid());
  lock.reset();
  CHECK(json::parse(script.line())["event"] == "acquired");
  CHECK(json::parse(script.line())["event"] == "started");
  script.close_input();
  CHECK(json::parse(script.line())["event"] == "released");
  CHECK(script.rest().empty());
}

TEST_CASE("every event names its process, its host and the note, and a lock that was waited for its last holder") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process run(grex_lock({"run", "--note", "nightly", "--json-status-fd", "1", dir.path(), "--", "true"}));
  const json waiting = json::parse(run.line());
  lock.reset();
  const json acquired = json::parse(run.line());
  const auto rest = events_in(run.rest());
  CHECK(run.wait() == exited(0));
  REQUIRE(rest.size() == 2);
  for (const json& event : {waiting, acquired, rest[0], rest[1]}) {
    CHECK(event["grex_lock_pid"] == run.pid());
    CHECK(event["host"].is_string());
    CHECK(event["note"] == "nightly");
  }
  CHECK(acquired["busy"]["path"] == dir / ".grex-lock");
  CHECK(acquired["busy"]["holders"][0]["pid"] == ::getpid());
  const auto free = events_in(run_tool({"wait", "--json-status-fd", "1", dir.path()}).out);
  CHECK(free[0]["busy"].is_null());
  CHECK(free[0]["note"].is_null());
}

TEST_CASE("a failure is an event with its error and exit code") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  const auto failed = [&dir](const std::string& command) {
    const auto events = events_in(finish(bash("\"$LOCK\" " + command + " 2>/dev/null"), in(dir.path())).out);
    REQUIRE_FALSE(events.empty());
    CHECK(events.back()["event"] == "failed");
    return events.back();
  };
  const json busy = failed("run -n --json-status-fd 1 . -- true");
  CHECK(busy["error"]["kind"] == "busy");
  CHECK(busy["error"]["holders"][0]["pid"] == ::getpid());
  CHECK(busy["exit_code"] == 75);
  CHECK(busy["waited_ms"].is_number_unsigned());
  CHECK(busy["error"]["waited_ms"].is_number_unsigned());
  CHECK(failed("run -q -w 1ms --json-status-fd 1 . -- true")["error"]["kind"] == "timeout");
  CHECK(failed("hold --detach -n --json-status-fd 1 .")["error"]["kind"] == "busy");
  CHECK(failed("wait -n --json-status-fd 1 .")["error"]["kind"] == "busy");
  CHECK(failed("fd -n --json-status-fd 1 9 9>>.grex-lock")["error"]["kind"] == "busy");
  const json missing = failed("run --json-status-fd 1 none -- true");
  CHECK(missing["error"]["kind"] == "not-found");
  CHECK(missing["waited_ms"] == 0);
  const json exec = failed("run --json-status-fd 1 -t manifest . -- ./none");
  CHECK(exec["error"]["kind"] == "exec");
  CHECK(exec["exit_code"] == 127);
}

TEST_CASE("locks are released before a command that cannot be started is reported") {
  const TempDir dir;
  const Finished finished = finish(bash("\"$LOCK\" run --json-status-fd 1 . -- ./none 2>/dev/null"), in(dir.path()));
  const auto events = events_in(finished.out);
  CHECK(names_of(events) == Words{"acquired", "released", "failed"});
  CHECK(events[1]["exit_code"] == 127);
}

TEST_CASE("paths of slots are known only when held") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex/.grex.slot-0.lock");
  Process script(bash("\"$LOCK\" run --json-status-fd 1 -t semaphore --slots 1 . -- true"), in(dir.path()));
  CHECK(json::parse(script.line())["locks"][0]["path"] == nullptr);
  lock.reset();
  CHECK(json::parse(script.line())["locks"][0]["path"] == dir / ".grex/.grex.slot-0.lock");
}

TEST_CASE("the command does not inherit the events' descriptor") {
  const TempDir dir;
  CHECK(finish(bash("\"$LOCK\" run --json-status-fd 9 . -- sh -c 'echo >&9' 9>events 2>/dev/null"), in(dir.path()))
            .ended == exited(2));
  // A daemon that stays behind does not keep their reader waiting.
  const Finished script = finish(
      bash("mkfifo end; \"$LOCK\" run --json-status-fd 9 . -c 'exec >/dev/null 2>&1; read x <end &' 9>&1 | cat | "
           "wc -l; echo >end"),
      in(dir.path()));
  CHECK(script.out == "3\n");
}

TEST_CASE("a job goes on if the reader of its events goes away") {
  const TempDir dir;
  const Finished script = finish(
      bash("exec 3> >(exec true); wait $!; \"$LOCK\" run --json-status-fd 3 . -c 'exit 4'; echo $?"), in(dir.path()));
  CHECK(script.out == "4\n");
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  const Finished full = finish(bash("\"$LOCK\" run --json-status-fd 3 . -c 'exit 4' 3>/dev/full"), in(dir.path()));
  CHECK(full.ended == exited(4));
}

TEST_CASE("a job goes on if the file of its events cannot grow") {
  const TempDir dir;
  write_file(dir / "events", std::string(900, '\n'));
  const Finished script =
      finish(bash("ulimit -f 1; \"$LOCK\" run --json-status-fd 7 . -c 'exit 4' 7>>events"), in(dir.path()));
  CHECK(script.ended == exited(4));
  CHECK(content_of(dir / "events").size() == 1024);  // the limit was reached
}

TEST_CASE("a descriptor that is not open for writing is a usage error before anything is locked") {
  const TempDir dir;
  for (const char* const command :
       {"run . --json-status-fd 9 -- touch ran", "run . --json-status-fd 9 -c 'touch ran' 9<.",
        "hold . --json-status-fd 9 --detach", "wait . --json-status-fd 9", "fd 8 --json-status-fd 9 8>>.other",
        "run . --json-status-fd -1 -- touch ran", "run . --json-status-fd x -- touch ran"}) {
    CAPTURE(command);
    const Finished finished = finish(bash("\"$LOCK\" " + std::string(command)), in(dir.path()));
    CHECK(finished.ended == exited(64));
    CHECK(finished.err.starts_with("grex-lock: usage: --json-status-fd: "));
  }
  CHECK_FALSE(exists(dir / "ran"));
  CHECK_FALSE(exists(dir / ".grex-lock"));
  CHECK_FALSE(left_children());
}

TEST_CASE("a hold reports its start and end, and with --detach its process id") {
  const TempDir dir;
  const auto foreground =
      events_in(finish(bash("\"$LOCK\" hold --for 1ms --json-status-fd 3 . 3>&1 >/dev/null"), in(dir.path())).out);
  CHECK(names_of(foreground) == Words{"acquired", "released"});
  const auto detached =
      events_in(finish(bash("\"$LOCK\" hold --detach --json-status-fd 3 . 3>&1 >/dev/null"), in(dir.path())).out);
  REQUIRE(names_of(detached) == Words{"acquired", "started"});
  reap(detached[1]["pid"], SIGTERM);
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("with --no-fork the events end with the command's start") {
  const TempDir dir;
  const auto events = events_in(finish(bash("\"$LOCK\" run -F --json-status-fd 3 . -- true 3>&1"), in(dir.path())).out);
  CHECK(names_of(events) == Words{"acquired", "started"});
  const Finished failed =
      finish(bash("\"$LOCK\" run -F --json-status-fd 3 . -- ./none 3>&1 2>/dev/null"), in(dir.path()));
  CHECK(names_of(events_in(failed.out)) == Words{"acquired", "started", "released", "failed"});
}
