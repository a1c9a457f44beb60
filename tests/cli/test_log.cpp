// --log and GREX_LOCK_LOG.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/events.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// The last line may be read while it is written.
std::string whole_lines(const std::string& text) { return text.substr(0, text.rfind('\n') + 1); }

// Not root: in the directory of a test, which is in /tmp, it would not log.
Setup as_logger(const std::string& directory) {
  Setup setup = in(directory);
  setup.before_exec = as_nobody().before_exec;
  return setup;
}

// A directory that belongs to the user of as_logger.
struct Place : TempDir {
  Place() {
    REQUIRE(::chmod(path().c_str(), 0777) == 0);
    write_file(*this / ".grex-lock", "");
    REQUIRE(::chmod((*this / ".grex-lock").c_str(), 0666) == 0);
  }

  [[nodiscard]] std::string log() const { return *this / "log"; }
  [[nodiscard]] std::vector<json> events() const { return events_in(whole_lines(content_of(log()))); }
  [[nodiscard]] Setup user() const { return as_logger(path()); }
  [[nodiscard]] Finished run(const std::string& script) const { return finish(bash(script), user()); }
};

// A directory where only root can write, if it can be made; the destructor removes it.
struct SafeDirectory {
  SafeDirectory() { ::mkdir(path.c_str(), 0700); }
  ~SafeDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  SafeDirectory(const SafeDirectory&) = delete;
  SafeDirectory& operator=(const SafeDirectory&) = delete;
  const std::string path = "/root/.grex-lock-test-" + std::to_string(::getpid());
};

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("the log of a run has its events, each with its process, host and note, after what was there") {
  const Place place;
  const std::string run = "\"$LOCK\" run --note nightly --log log . -c 'exit 3'";
  CHECK(place.run(run).ended == exited(3));
  CHECK(place.run(run).ended == exited(3));
  const auto events = place.events();
  REQUIRE(names_of(events) == Words{"acquired", "started", "released", "acquired", "started", "released"});
  for (const json& event : events) {
    CHECK(event["grex_lock_pid"].is_number_unsigned());
    CHECK(event["host"].is_string());
    CHECK(event["note"] == "nightly");
    CHECK(event["locks"][0]["path"] == place / ".grex-lock");
  }
  CHECK(events[0]["busy"].is_null());
  CHECK(events[2]["exit_code"] == 3);
  CHECK(events[0]["grex_lock_pid"] != events[3]["grex_lock_pid"]);
}

TEST_CASE("a line that a full disk has cut is ended before the next one") {
  const Place place;
  CHECK(
      place.run("printf '{\"event\":\"acq' >log; touch -d '1 hour ago' log; \"$LOCK\" run --log log . -- true").ended ==
      exited(0));
  const std::string log = content_of(place.log());
  CHECK(log.starts_with("{\"event\":\"acq\n{"));
  CHECK(names_of(events_in(whole_lines(log.substr(log.find('\n') + 1)))) == Words{"acquired", "started", "released"});
}

TEST_CASE("GREX_LOCK_LOG makes every command that takes a lock log, also below another one") {
  const Place place;
  const std::string set = "export GREX_LOCK_LOG=$PWD/log; ";
  CHECK(place.run(set + "\"$LOCK\" run . -- \"$LOCK\" run -t manifest . -- true").ended == exited(0));
  Words names = names_of(place.events());
  std::sort(names.begin(), names.end());  // the outer command may run before its start is written
  CHECK(names == Words{"acquired", "acquired", "released", "released", "started", "started"});
  std::filesystem::remove(place.log());
  CHECK(
      place.run(set + "\"$LOCK\" hold --for 1ms .; \"$LOCK\" wait .; \"$LOCK\" fd 9 9>>.grex-lock 2>/dev/null").ended ==
      exited(0));
  CHECK(names_of(place.events()) == Words{"acquired", "released", "acquired", "acquired"});
  std::filesystem::remove(place.log());
  CHECK(place.run(set + "\"$LOCK\" probe .; \"$LOCK\" status .; \"$LOCK\" tiers; \"$LOCK\" stack").ended == exited(0));
  CHECK_FALSE(exists(place.log()));
}

// SECURITY.md: read the arguments of commands from the log | it has only the names of programs
TEST_CASE("the log shows who was waited for, as the events of the descriptor do, but no arguments of commands") {
  const Place place;
  const Words holder =
      grex_lock({"run", "--note", "nightly", place.path(), "--", "sh", "-c", "echo; read line", "--", "s3cret"});
  Process held(holder, place.user());
  held.line();
  const auto pid = held.pid();
  CHECK(place.run("\"$LOCK\" run -n --log log --json-status-fd 3 . -- true 3>events").ended == exited(75));
  CHECK(place.run("\"$LOCK\" run -w 1ms --log log --json-status-fd 3 . -- true 3>>events").ended == exited(75));
  Process waiter(bash("\"$LOCK\" run --log log --json-status-fd 3 . -- true 3>>events"), place.user());
  until([&place] { return names_of(place.events()).size() == 4; });  // while it still waits
  held.close_input();
  CHECK(waiter.wait() == exited(0));
  CHECK(content_of(place / "events").find("s3cret") != std::string::npos);
  CHECK(content_of(place.log()).find("s3cret") == std::string::npos);
  const auto logged = place.events();
  const auto written = events_in(whole_lines(content_of(place / "events")));
  REQUIRE(names_of(logged) == names_of(written));
  REQUIRE(names_of(logged) == Words{"failed", "waiting", "failed", "waiting", "acquired", "started", "released"});
  CHECK(logged[0]["waited_ms"].is_number_unsigned());
  CHECK(logged[2]["waited_ms"] >= 1);
  CHECK(logged[2]["error"]["waited_ms"] >= 1);
  CHECK(logged[2]["error"]["message"].get<std::string>().starts_with("timed out after "));
  const auto acquirer = [](const json& holders) {
    const auto found =
        std::find_if(holders.begin(), holders.end(), [](const json& process) { return process["role"] == "acquirer"; });
    return found == holders.end() ? json() : *found;
  };
  for (const json& reason : {logged[0]["error"], logged[2]["error"], logged[3]["busy"], logged[4]["busy"]}) {
    const json process = acquirer(reason["holders"]);
    CHECK(process["pid"] == pid);
    CHECK(process["note"] == "nightly");
    CHECK(process["command"] == Words{"sh"});
  }
}

TEST_CASE("a wait is in the log while it lasts, and stays there if the waiter is killed") {
  const Place place;
  const Fd lock = lock_as_grex(place / ".grex-lock");
  Process waiter(bash("exec \"$LOCK\" run --log log . -- true"), place.user());
  until([&place] { return exists(place.log()) && !place.events().empty(); });
  waiter.signal(SIGKILL);
  waiter.wait();
  CHECK(names_of(place.events()) == Words{"waiting"});
}

TEST_CASE("a wait that a signal ends is logged, with its length") {
  const Place place;
  const Fd lock = lock_as_grex(place / ".grex-lock");
  Process waiter(bash("exec \"$LOCK\" run --log log . -- true"), place.user());
  until([&place] { return waiters_on(place / ".grex-lock") == 1; });
  waiter.signal(SIGTERM);
  CHECK(waiter.wait() == exited(128 + SIGTERM));
  const auto events = place.events();
  REQUIRE(names_of(events) == Words{"waiting", "failed"});
  CHECK(events[1]["error"]["kind"] == "cancelled");
  CHECK(events[1]["waited_ms"].is_number_unsigned());
}

TEST_CASE("a detached hold logs in the caller's directory until its end") {
  const Place place;
  const Finished hold = place.run("\"$LOCK\" hold --detach --note n --log log .");
  REQUIRE(hold.ended == exited(0));
  const pid_t holder = std::stoi(hold.out.substr(sizeof "pid"));
  CHECK(names_of(place.events()) == Words{"acquired", "started"});
  reap(holder, SIGTERM);
  const auto events = place.events();
  REQUIRE(names_of(events) == Words{"acquired", "started", "released"});
  for (const json& event : events) CHECK(event["grex_lock_pid"] == holder);
  CHECK(events[2]["held_ms"].is_number_unsigned());
  CHECK(events[2]["note"] == "n");
}

TEST_CASE("a detached hold has no log open") {
  const Place place;
  const Finished hold = place.run("\"$LOCK\" hold --detach --log log .");
  REQUIRE(hold.ended == exited(0));
  const pid_t holder = std::stoi(hold.out.substr(sizeof "pid"));
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(holder) + "/fd")) {
    std::error_code gone;
    CHECK(std::filesystem::read_symlink(entry.path(), gone) != place.log());
  }
  reap(holder, SIGTERM);
}

TEST_CASE("with --no-fork, what happened before the command is in the log when it starts") {
  const Place place;
  const Finished run = place.run("\"$LOCK\" run -F --log log . -- cat log");
  CHECK(run.ended == exited(0));
  CHECK(names_of(events_in(whole_lines(run.out))) == Words{"acquired", "started"});
  CHECK(names_of(place.events()) == Words{"acquired", "started"});
}

TEST_CASE("the log may be renamed at any time, and continues under its name") {
  const Place place;
  // The command may run before the first event is written.
  CHECK(place.run("\"$LOCK\" run --log log . -c 'until test -s log; do :; done; mv log log.1'").ended == exited(0));
  const auto old = names_of(events_in(whole_lines(content_of(place / "log.1"))));
  const auto now = names_of(place.events());
  Words all = old;
  all.insert(all.end(), now.begin(), now.end());
  REQUIRE(all == Words{"acquired", "started", "released"});
  CHECK(now.back() == "released");
}

TEST_CASE("the lines of many processes stay whole") {
  const Place place;
  const int processes = tries(40);
  const std::string note(3000, 'n');  // so that a line is longer than a page
  const std::string script = "for i in $(seq " + std::to_string(processes) + "); do \"$LOCK\" run -q -s --note " +
                             note + " --log log . -- true & done; wait";
  CHECK(place.run(script).ended == exited(0));
  const auto events = place.events();
  CHECK(events.size() == static_cast<std::size_t>(3 * processes));
}

// SECURITY.md: plant a log file, as a link, a second name of another file, a FIFO or a file of theirs | it is not
// written; a warning
TEST_CASE("a log that can't be written is one warning, and changes nothing else") {
  const Place place;
  REQUIRE(place
              .run("mkdir directory; touch target two; ln -s target link; ln -s none dangling; ln two second; "
                   "mkfifo fifo; touch closed; chmod 0 closed")
              .ended == exited(0));
  for (const auto& [log, why] : {std::pair<std::string, std::string>{"none/log", "none does not exist"},
                                 {"directory", "Is a directory"},
                                 {"link", "a symbolic link"},
                                 {"dangling", "a symbolic link"},
                                 {"second", "has a second hard link"},
                                 {"fifo", "not a regular file"},
                                 {"closed", "belongs to "},
                                 {"/dev/full", "not a regular file"}}) {
    CAPTURE(log);
    const std::string run = "\"$LOCK\" run --log " + log + " . -c 'exit 3'";
    const Finished warned = place.run(run);
    CHECK(warned.ended == exited(3));
    CHECK(count_of(warned.err, "\n") == 1);
    CHECK(warned.err.starts_with("grex-lock: warning: cannot write the log: "));
    CHECK(warned.err.find(why) != std::string::npos);
    const Finished quiet = place.run("\"$LOCK\" run -q --log " + log + " . -c 'exit 3'");
    CHECK(quiet.ended == exited(3));
    CHECK(quiet.err.empty());
  }
  for (const char* const name : {"target", "two"}) CHECK(content_of(place / name).empty());
  CHECK_FALSE(exists(place / "none"));
}

// SECURITY.md: plant a log file, as a link, a second name of another file, a FIFO or a file of theirs | it is not
// written; a warning
TEST_CASE("a log that belongs to another user is not written") {
  if (!can_become_others()) return;
  const Place place;
  write_file(place.log(), "theirs\n");  // root's
  REQUIRE(::chmod(place.log().c_str(), 0666) == 0);
  const Finished finished = place.run("\"$LOCK\" run --log log . -c 'exit 3'");
  CHECK(finished.ended == exited(3));
  CHECK(finished.err == "grex-lock: warning: cannot write the log: " + place.log() + ": belongs to another user\n");
  CHECK(content_of(place.log()) == "theirs\n");
}

// SECURITY.md: make root write elsewhere through its log | root logs nothing below a directory that another user can
// change; a warning
TEST_CASE("root logs only below directories that no other user can change") {
  if (!can_become_others()) return;
  const TempDir dir;
  const auto run = [&dir](const std::string& log) {
    const Finished finished = run_tool({"run", "--log", log, dir.path(), "--", "sh", "-c", "exit 3"});
    CHECK(finished.ended == exited(3));
    return finished.err;
  };
  const auto warning = [](const std::string& directory) {
    return "grex-lock: warning: cannot write the log: " + directory + ": other users than root can change it\n";
  };
  const SafeDirectory safe;
  if (!exists(safe.path)) return skip("/root can't be written");
  CHECK(run(safe.path + "/log") == "");
  CHECK(names_of(events_in(whole_lines(content_of(safe.path + "/log")))) == Words{"acquired", "started", "released"});
  std::filesystem::create_symlink(safe.path, safe.path + "/link");  // root's own
  CHECK(run(safe.path + "/link/log") == "");
  CHECK(names_of(events_in(whole_lines(content_of(safe.path + "/log")))).size() == 6);
  const std::string open = safe.path + "/open";
  REQUIRE(::mkdir(open.c_str(), 0700) == 0);
  for (const mode_t mode : {0770U, 0707U}) {
    REQUIRE(::chmod(open.c_str(), mode) == 0);
    CHECK(run(open + "/log") == warning(open));
  }
  REQUIRE(::chmod(open.c_str(), 0700) == 0);
  REQUIRE(::chown(open.c_str(), 65534, 65534) == 0);
  CHECK(run(open + "/log") == warning(open));
  std::filesystem::create_symlink(safe.path, open + "/link");  // that user could lead elsewhere
  CHECK(run(open + "/link/log") == warning(open));
  CHECK_FALSE(exists(open + "/log"));
}

TEST_CASE("a FIFO that is read, and a log that may not grow, get no event and hold up nothing") {
  const Place place;
  CHECK(place
            .run("mkfifo fifo; exec 3<>fifo; \"$LOCK\" run --log fifo . -c 'exit 3'; s=$?; "
                 "read -t 0 <&3 && exit 9; exit $s")
            .ended == exited(3));
  const Finished full = place.run("head -c 1024 /dev/zero >log; ulimit -f 1; \"$LOCK\" run --log log . -c 'exit 4'");
  CHECK(full.ended == exited(4));
  CHECK(content_of(place.log()).size() == 1024);
}

TEST_CASE("a hold reports that it can't log before it leaves its caller") {
  const Place place;
  const Finished hold = place.run("\"$LOCK\" hold --detach --log none/log .");
  CHECK(hold.ended == exited(0));
  CHECK(hold.err.starts_with("grex-lock: warning: cannot write the log: "));
  reap(std::stoi(hold.out.substr(sizeof "pid")), SIGTERM);
}

TEST_CASE("a log that is named badly is a usage error before anything is locked") {
  const TempDir dir;
  for (const std::string command : {"run . -c 'touch ran'", "hold --for 1ms .", "wait .", "fd 9 9>>.other"}) {
    CAPTURE(command);
    const std::string verb = command.substr(0, command.find(' '));
    const std::string rest = command.substr(verb.size());
    for (const auto& [line, message] : {std::pair{"GREX_LOCK_LOG=log \"$LOCK\" " + command,
                                                  std::string("GREX_LOCK_LOG: 'log' is not an absolute path")},
                                        {"\"$LOCK\" " + verb + " --log ''" + rest, "--log: FILE is empty"},
                                        {"\"$LOCK\" " + verb + " --log .grex-lock" + rest,
                                         "--log: '" + dir.path() + "/.grex-lock' is a lock file"}}) {
      const Finished finished = finish(bash(line), in(dir.path()));
      CHECK(finished.ended == exited(64));
      CHECK(finished.err.starts_with("grex-lock: usage: " + message + "\n"));
    }
  }
  CHECK_FALSE(exists(dir / "ran"));
  CHECK_FALSE(exists(dir / ".grex-lock"));
  // Commands that do not log ignore the variable, and an empty one is none.
  CHECK(finish(bash("GREX_LOCK_LOG=log \"$LOCK\" probe . && GREX_LOCK_LOG= \"$LOCK\" run . -- true"), in(dir.path()))
            .ended == exited(0));
}

// SECURITY.md: put the log on a file system that does not answer, so that grex-lock hangs | a thread writes it, which
// is waited for a second at most, when the locks are released
TEST_CASE("a log on a file system that does not answer holds up no lock, no command and no end") {
  if (is_sanitized()) return skip("LeakSanitizer stops all threads, and waits for the one that is stuck, too");
  const TempDir dir;
  const std::string mounted = "/mnt";
  if (!std::filesystem::is_directory(mounted)) return skip("there is no /mnt");
  const std::string tool = "timeout -k 1 60 " + grex_lock();
  const std::string run = tool + " run --log /mnt/log . -c 'echo ran; exit 3'; echo $?; ";
  const std::string hold = grex_lock() + " hold --detach --for 1ms --log /mnt/log . >/dev/null; echo $?; ";
  Process server(on_fuse(mounted, 0,
                         run + "grep -c . /mnt/log; read line; " + run + hold + tool + " wait .; " + tool +
                             " run -F --log /mnt/log . -- echo ran"),
                 in(dir.path()));
  if (server.line() != "ran") return skip("FUSE may not be mounted here");
  CHECK(server.line() == "3");
  CHECK(server.line() == "3");  // lines
  server.signal(SIGSTOP);
  until([&server] { return state_of(server.pid()) == 'T'; });
  server.write("\n");
  CHECK(server.line() == "ran");
  CHECK(server.line() == "3");
  CHECK(server.line() == "0");
  CHECK(server.line() == "ran");
  server.signal(SIGCONT);
  CHECK(server.wait() == exited(0));
  until([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; });  // the hold
}

TEST_CASE("many events for a log that does not answer are not all kept, and the rest is discarded") {
  if (is_sanitized()) return skip("LeakSanitizer stops all threads, and waits for the one that is stuck, too");
  const TempDir dir;
  if (!std::filesystem::is_directory("/mnt")) return skip("there is no /mnt");
  const std::string note(100'000, 'n');
  write_file(dir / "note", note);
  Process server(on_fuse("/mnt", 0,
                         "echo ready; read line; " + grex_lock() +
                             " run --note \"$(cat note)\" --log /mnt/log . -c 'echo ran; exit 3'; echo $?"),
                 in(dir.path()));
  if (server.line() != "ready") return skip("FUSE may not be mounted here");
  server.signal(SIGSTOP);
  until([&server] { return state_of(server.pid()) == 'T'; });
  server.write("\n");
  CHECK(server.line() == "ran");
  CHECK(server.line() == "3");
  server.signal(SIGCONT);
  CHECK(server.wait() == exited(0));
}
