// Signals before the command runs and after it has ended.

#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "support/events.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// A process whose events go to its standard output.
Process with_events(const TempDir& dir, const Words& command) {
  Words words = grex_lock({"run", "--json-status-fd", "1", dir.path(), "--"});
  words.insert(words.end(), command.begin(), command.end());
  return Process(words);
}

// How long the process runs, undisturbed, after exec.
std::chrono::nanoseconds time_of(const TempDir& dir, const Words& command) {
  return with_events(dir, command).time_to_end();
}

}  // namespace

TEST_CASE("after a signal at any moment, run has told its end in an event, and the lock is free") {
  const TempDir dir;
  const int steps = tries(200);
  const Words command = {"true"};
  const auto whole = time_of(dir, command);
  std::set<Words> seen;
  for (int i = 0; i < steps; ++i) {
    const int signal = std::array{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}.at(i % 6);
    Process run = with_events(dir, command);
    run.run_for(whole * i * 3 / (2 * steps));
    run.signal(signal);
    const Ended ended = run.wait();
    const Words events = names_of(events_in(run.rest()));
    CAPTURE(signal);
    CAPTURE(ended);
    CAPTURE(events.size());
    if (events.empty()) {
      CHECK((ended == killed_by(signal) || ended == exited(128 + signal)));  // nothing had been locked
    } else {
      // Either CMD's own status, or that of the signal.
      CHECK((ended == exited(0) || ended == exited(128 + signal)));
      const bool has_run = events == Words{"acquired", "started", "released"};
      CHECK((has_run || ended != exited(0)));
      CHECK((has_run || events == Words{"acquired", "released", "failed"} || events == Words{"failed"}));
    }
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  }
}

TEST_CASE("a signal right after the event that a wait has begun ends it with its status and event") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  for (int i = 0; i < tries(60); ++i) {
    const int signal = std::array{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}.at(i % 6);
    Process run = with_events(dir, {"true"});
    CHECK(json::parse(run.line())["event"] == "waiting");
    run.signal(signal);
    const json failed = json::parse(run.line());
    CHECK(failed["event"] == "failed");
    CHECK(failed["exit_code"] == 128 + signal);
    CHECK(failed["error"]["kind"] == "cancelled");
    CHECK(run.wait() == exited(128 + signal));
  }
}

TEST_CASE("a signal after the command's end changes no exit status, and ends only the writing of events") {
  const TempDir dir;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
    const FullPipe full;
    Process run(grex_lock({"run", "--json-status-fd", "9", dir.path(), "--", "sh", "-c", "echo $$; read line; exit 7"}),
                full.as(9));
    const pid_t command = std::stoi(run.line());
    run.close_input();
    until([&] { return !process_exists(command) && !is_locked(dir / ".grex-lock"); });
    run.signal(signal);
    CHECK(run.wait() == exited(7));
  }
}

TEST_CASE("signals that were ignored at the start end no wait and no start of the command") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "exit 5"}),
              {.before_exec = [] { ::signal(SIGHUP, SIG_IGN); }});
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  run.signal(SIGHUP);
  lock.reset();
  CHECK(run.wait() == exited(5));
}

TEST_CASE("a signal that was ignored, and came before the command, does not count as sent to it") {
  const TempDir dir;
  std::vector<Fd> slots;
  for (const char* const name : {".grex/.grex.slot-0.lock", ".grex/.grex.slot-1.lock"})
    slots.push_back(lock_as_grex(dir / name));
  Process run(grex_lock({"run", "-t", "semaphore", "--slots", "2", dir.path(), "--", "sh", "-c",
                         "exec 3<&0; read -r line <&3 & exit 0"}),
              {.before_exec = [] { ::signal(SIGINT, SIG_IGN); }});
  until([&dir] { return waiters_on(dir / ".grex/.grex.slot-0.lock") == 1; });
  run.signal(SIGINT);
  slots.front().reset();
  CHECK(run.wait() == exited(0));
  CHECK_FALSE(is_locked(dir / ".grex/.grex.slot-0.lock"));
  run.close_input();
  CHECK(run.error_rest().find("still locked") == std::string::npos);
}

TEST_CASE("Ctrl-Z while the command is searched in PATH stops both, and fg continues both") {
  const TempDir dir;
  std::string path;
  for (int i = 0; i < 40'000; ++i) path += "x:";
  Terminal terminal({"bash", "--norc", "--noprofile", "-i"}, {.environment = {{"PS1", "@> "}, {"SLOW", path}}});
  terminal.expect("@> ");
  terminal.type("PATH=$SLOW/usr/bin:/bin '" + grex_lock() + "' run " + dir.path() + " -- cat\r");
  // It waits in vfork(2) until its child has found the command; on a busy machine, the
  // command may run by now.
  until([&dir] { return is_locked(dir / ".grex-lock"); });
  terminal.type(ctrl_z);
  terminal.expect("Stopped");
  CHECK(is_locked(dir / ".grex-lock"));
  terminal.expect("@> ");
  // The shell may learn of the stop before the command has left its read(), which would then
  // take the next line.
  until([&terminal] { return terminal.all_but_leader_stopped(); });
  terminal.type("fg\r");
  terminal.expect("cat");
  terminal.type("hello\r");
  terminal.expect("hello\r\nhello");  // the echo, and what cat prints
  terminal.type("\x04");
  terminal.expect("@> ");
}
