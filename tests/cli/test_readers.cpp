// Output that no process reads: it must hold up nothing.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/syscall.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

// SECURITY.md: stop reading messages or events, so that grex-lock hangs | readers are not waited for
TEST_CASE("a busy lock is reported with its exit status, even if no process reads the report") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  std::vector<Process> tools;
  const FullPipe full;
  for (const int stream : {2, 9}) {
    for (const char* const command :
         {"run -n . -- true", "run -w 10ms . -- true", "run -v -w 10ms . -- true", "run -n --json . -- true",
          "hold -w 10ms .", "hold -n --detach .", "wait -n .", "wait -w 10ms .", "fd -n 8 8>>.grex-lock"}) {
      std::string line = command;
      if (stream == 9) line.insert(line.find(' '), " --json-status-fd 9");
      Setup setup = in(dir.path());
      setup.before_exec = full.as(stream).before_exec;
      tools.emplace_back(bash("exec \"$LOCK\" " + line), setup);
    }
  }
  tools.emplace_back(grex_lock({"probe", dir.path()}), full.as(2));
  for (Process& tool : tools) CHECK(tool.wait() == exited(75));
}

// SECURITY.md: stop reading messages or events, so that grex-lock hangs | readers are not waited for
TEST_CASE("a run whose events or notes are not read starts its command and ends as it does") {
  const TempDir dir;
  for (const int stream : {2, 9}) {
    const FullPipe full;
    Process run(grex_lock({"run", "-v", stream == 9 ? "--json-status-fd=9" : "-x", dir.path(), "--", "sh", "-c",
                           "echo runs; read line; exit 3"}),
                full.as(stream));
    CHECK(run.line() == "runs");
    CHECK(is_locked(dir / ".grex-lock"));
    run.close_input();
    CHECK(run.wait() == exited(3));
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  }
}

// SECURITY.md: stop reading messages or events, so that grex-lock hangs | readers are not waited for
TEST_CASE("a hold whose output is not read still ends at a signal, after its time, and with its process") {
  for (const int stream : {1, 2, 9}) {
    CAPTURE(stream);
    const TempDir dir;
    const FullPipe full;
    const auto hold = [&](const std::string& option) {
      return Process(grex_lock({"hold", "-v", stream == 9 ? "--json-status-fd=9" : "-x", option, dir.path()}),
                     full.as(stream));
    };
    const auto until_held_by = [&dir](const Process& process) {
      const std::string start = "{\"pid\":" + std::to_string(process.pid()) + ",";
      until([&] { return content_of(dir / ".grex/.grex-lock").starts_with(start); });
    };
    Process told = hold("--note=x");
    until_held_by(told);
    told.signal(SIGTERM);
    CHECK(told.wait() == exited(0));
    CHECK(hold("--for=10ms").wait() == exited(0));
    Process watched(until_input_closes());
    watched.line();
    Process holder = hold("--while-pid=" + std::to_string(watched.pid()));
    until_held_by(holder);
    watched.close_input();
    watched.wait();
    CHECK(holder.wait() == exited(0));
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  }
}

TEST_CASE("a detached hold whose output is not read is announced as far as it is read, or ends at a signal") {
  const TempDir dir;
  const FullPipe full;
  Process hold(grex_lock({"hold", "--detach", dir.path()}), full.as(1));
  until([&dir] { return !content_of(dir / ".grex/.grex-lock").empty(); });
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(128 + SIGTERM));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  for (const int stream : {2, 9}) {
    Process unread(grex_lock({"hold", "-v", stream == 9 ? "--json-status-fd=9" : "-x", "--detach", dir.path()}),
                   full.as(stream));
    const pid_t holder = std::stoi(unread.line().substr(sizeof "pid"));
    CHECK(unread.wait() == exited(0));
    CHECK(is_locked(dir / ".grex-lock"));
    reap(holder, SIGTERM);
  }
}

TEST_CASE("a wait whose notes are not read ends at a signal, and gets its lock when that is free") {
  const TempDir dir;
  const FullPipe full;
  for (const char* const option : {"-v", "-x", "--json-status-fd=2"}) {
    Fd lock = lock_as_grex(dir / ".grex-lock");
    Process cancelled(grex_lock({"run", option, dir.path(), "--", "true"}), full.as(2));
    until([&dir] { return is_waited_for(dir.path()); });
    cancelled.signal(SIGTERM);
    CHECK(cancelled.wait() == exited(128 + SIGTERM));
    Process served(grex_lock({"run", option, dir.path(), "--", "sh", "-c", "exit 4"}), full.as(2));
    until([&dir] { return is_waited_for(dir.path()); });
    lock.reset();
    CHECK(served.wait() == exited(4));
  }
}

TEST_CASE("events that could not be written are written as soon as they are read, while the command runs") {
  const TempDir dir;
  FullPipe full;
  Process run(grex_lock({"run", "--json-status-fd", "9", dir.path(), "--", "sh", "-c", "echo runs; read line"}),
              full.as(9));
  CHECK(run.line() == "runs");
  CHECK(json::parse(full.line())["event"] == "acquired");
  CHECK(json::parse(full.line())["event"] == "started");
  run.close_input();
  CHECK(json::parse(full.line())["event"] == "released");
  CHECK(run.wait() == exited(1));
}

TEST_CASE("an event that can't be kept is cut, and has no locks") {
  const TempDir dir;
  FullPipe full;
  Words words = grex_lock({"run", "--json-status-fd", "9"});
  // The first event fits into 64 KiB, and the second does not with it.
  const std::string name(200, 'p');
  for (int i = 0; i < 150; ++i) words.push_back(dir.make(name + std::to_string(i)));
  for (const char* const word : {"--", "sh", "-c", "echo runs; read line"}) words.emplace_back(word);
  Process run(words, full.as(9));
  CHECK(run.line() == "runs");
  // The command may run before its event is written.
  const std::string waits = std::to_string(SYS_rt_sigtimedwait) + " ";
  until([&] { return content_of("/proc/" + std::to_string(run.pid()) + "/syscall").starts_with(waits); });
  const json acquired = json::parse(full.line());
  CHECK(acquired["event"] == "acquired");
  CHECK(acquired["locks"].size() == 150);
  const json started = json::parse(full.line());
  CHECK(started["event"] == "started");
  CHECK(started["cut"] == true);
  CHECK(started["pid"].is_number());
  CHECK_FALSE(started.contains("locks"));
  run.close_input();
  CHECK(run.wait() == exited(1));
}

TEST_CASE("a result that is not read is given up at a signal, also while signals are blocked") {
  const TempDir dir;
  const FullPipe full;
  Setup setup = in(dir.path());
  setup.before_exec = full.as(1).before_exec;
  const std::string polls = std::to_string(SYS_poll) + " ";
  const auto end_of = [&](const std::string& words) {
    Process tool(bash("exec \"$LOCK\" " + words), setup);
    const std::string syscall = "/proc/" + std::to_string(tool.pid()) + "/syscall";
    until([&] { return content_of(syscall).starts_with(polls); });
    tool.signal(SIGTERM);
    return tool.wait();
  };
  CHECK(end_of("fd --json 9 9>>.grex-lock") == exited(128 + SIGTERM));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(end_of("fd --json -n 9 9>>.grex-lock") == exited(75));
}
