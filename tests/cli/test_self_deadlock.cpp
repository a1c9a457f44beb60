// A wait for a lock that the waiting process, or one above it, keeps: what the environment
// doesn't tell is found in descriptors and in the kernel's list.

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// A bash script in the directory, which calls the tool as "$LOCK".
Finished script(const std::string& text, const TempDir& dir) { return finish(bash(text), in(dir.path())); }

// The commands that lock, wait or look, for a pack P.
constexpr std::array commands = {"run P -- echo ran", "hold P", "wait P", "probe P"};

}  // namespace

TEST_CASE("a lock on a descriptor that the process inherited is busy immediately, without help from the environment") {
  const TempDir dir;
  dir.make("P");
  for (const std::string command : commands) {
    CAPTURE(command);
    const Finished again = script("exec 9>>P/.grex-lock; flock 9; \"$LOCK\" " + command, dir);
    CHECK(again.ended == exited(75));
    CHECK(again.out.empty());
    CHECK(has(again.err, "busy: " + dir / "P/.grex-lock: this process inherited it on descriptor 9\n"));
    CHECK(has(again.err,
              "use --reentrant here to continue under its lock; a daemon that needs no lock can close it: exec 9>&-"));
  }
  // It may close it, and is not under the lock then; the shell still has it.
  CHECK(script("exec 9>>P/.grex-lock; flock 9; \"$LOCK\" run -n -E 3 P -- true 9>&-; exit $?", dir).ended == exited(3));
}

TEST_CASE("the lock of an ancestor flock(1) or grex-lock is busy immediately, with an empty environment, too") {
  const TempDir dir;
  dir.make("P");
  for (const std::string command : commands) {
    CAPTURE(command);
    // It closes the descriptor before its command, which then does not inherit it.
    const Finished under_flock = script("flock -o P/.grex-lock \"$LOCK\" " + command, dir);
    CHECK(under_flock.ended == exited(75));
    CHECK(has(under_flock.err, "busy: " + dir / "P/.grex-lock: already held by ancestor pid "));
    const Finished under_run = script("\"$LOCK\" run --close P -- env -i \"$LOCK\" " + command, dir);
    CHECK(under_run.ended == exited(75));
    CHECK(has(under_run.err, "already held by ancestor pid "));
  }
  CHECK(script("flock P/.grex-lock \"$LOCK\" run P -- true", dir).ended == exited(75));
  CHECK(script("\"$LOCK\" run P -- env -i \"$LOCK\" run P -- true", dir).ended == exited(75));
}

TEST_CASE("a lock of one's own is no contention: neither -E nor -q nor -n nor -w changes what is said of it") {
  const TempDir dir;
  dir.make("P");
  for (const std::string options : {"-q -E 3", "-q -n -E 3", "-q -w 30 -E 3"}) {
    CAPTURE(options);
    const Finished again = script("flock -o P/.grex-lock \"$LOCK\" run " + options + " P -- true", dir);
    CHECK(again.ended == exited(75));
    CHECK(has(again.err, "already held by ancestor pid "));
    const Finished inherited = script("exec 9>>P/.grex-lock; flock 9; \"$LOCK\" run " + options + " P -- true", dir);
    CHECK(inherited.ended == exited(75));
    CHECK(has(inherited.err, "this process inherited it on descriptor 9\n"));
  }
  const Finished as_json = script("flock -o P/.grex-lock \"$LOCK\" --json run P -- true", dir);
  const json error = json::parse(as_json.err);
  CHECK(error["error"]["kind"] == "reentry");
  CHECK(error["exit_code"] == 75);
}

TEST_CASE("--reentrant goes on under a lock that is found above, takes the other file, and lists both below") {
  const TempDir dir;
  dir.make("P");
  const std::string inner =
      "\"$LOCK\" run --reentrant P -- sh -c 'flock -n P/.grex/.grex-lock true; echo $?; echo \"$GREX_LOCK_STACK\"'";
  for (const std::string& above : {"flock -o P/.grex-lock " + inner, "exec 9>>P/.grex-lock; flock 9; " + inner}) {
    CAPTURE(above);
    Process under(bash(above), in(dir.path()));
    CHECK(under.line() == "1");
    const json stack = json::parse(under.line());
    CHECK(under.wait() == exited(0));
    REQUIRE(stack.size() == 2);
    CHECK(stack[0]["path"] == dir / "P/.grex-lock");
    CHECK(stack[1]["path"] == dir / "P/.grex/.grex-lock");
  }
  CHECK(script("flock -o P/.grex-lock \"$LOCK\" wait --reentrant P", dir).ended == exited(0));
  CHECK(script("flock -o P/.grex-lock \"$LOCK\" probe --reentrant P", dir).ended == exited(0));
}

TEST_CASE("--reentrant takes no flat file below the nested file of the same lock, and no lower tier") {
  const TempDir dir;
  dir.make("P/.grex");
  const Finished nested = script("flock -o P/.grex/.grex-lock \"$LOCK\" run --reentrant P -- true", dir);
  CHECK(nested.ended == exited(76));
  CHECK(has(nested.err, dir / "P/.grex-lock"));
  const Finished lower = script("flock -o P/.grex-lock \"$LOCK\" run --reentrant -l workspace-sync:. P -- true", dir);
  CHECK(lower.ended == exited(76));
  CHECK(has(lower.err, dir / ".grex.sync.lock"));
}

TEST_CASE("a lock that an ancestor shares can be shared, and never be taken exclusively") {
  const TempDir dir;
  dir.make("P");
  CHECK(script("flock -s -o P/.grex-lock \"$LOCK\" run -s P -- true", dir).ended == exited(0));
  for (const std::string option : {"", "--reentrant "}) {
    CAPTURE(option);
    const Finished above = script("flock -s -o P/.grex-lock \"$LOCK\" run " + option + "P -- true", dir);
    CHECK(above.ended == exited(75));
    CHECK(has(above.err, " holds only a shared lock\n"));
    const Finished inherited = script("exec 9>>P/.grex-lock; flock -s 9; \"$LOCK\" run " + option + "P -- true", dir);
    CHECK(inherited.ended == exited(75));
    CHECK(has(inherited.err, "this process inherited only a shared lock on descriptor 9\n"));
  }
}

TEST_CASE("slots, guards and the descriptors of fd are looked at in the same way") {
  const TempDir dir;
  dir.make("P/.grex");
  const Finished slot = script(
      "\"$LOCK\" run --close -t semaphore --slots 1 . -- env -i \"$LOCK\" run -t semaphore --slots 1 . -- true", dir);
  CHECK(slot.ended == exited(75));
  CHECK(has(slot.err, ".grex.slot-0.lock: already held by ancestor pid "));

  // A guard that an ancestor has is not taken again; its exclusive lock will do.
  write_file(dir / "P/.grex/pack.yaml", "");
  dir.make("P/app");
  CHECK(script("flock -o P/.grex.sync.lock \"$LOCK\" run --guard P/app -- true", dir).ended == exited(0));

  dir.make("Q");
  const Finished fd = script("exec 8>>Q/.grex-lock 9>>Q/.grex-lock; flock 8; \"$LOCK\" fd 9", dir);
  CHECK(fd.ended == exited(75));
  CHECK(has(fd.err, "inherited it on descriptor 8"));
  CHECK(script("exec 9>>Q/.grex-lock; flock -s 9; \"$LOCK\" fd -x 9", dir).ended == exited(0));
}

TEST_CASE("an ancestor that may unlock in the meantime is a possible deadlock, and the wait goes on") {
  const TempDir dir;
  dir.make("P");
  // Python's descriptors are not inherited.
  Process ancestor({"python3", "-c",
                    "import fcntl, subprocess, sys\n"
                    "lock = open(sys.argv[1], 'a')\n"
                    "fcntl.flock(lock, fcntl.LOCK_EX)\n"
                    "child = subprocess.Popen(sys.argv[2:])\n"
                    "sys.stdin.readline()\n"
                    "fcntl.flock(lock, fcntl.LOCK_UN)\n"
                    "sys.exit(child.wait())\n",
                    dir / "P/.grex-lock", grex_lock(), "run", "-q", dir / "P", "--", "echo", "ran"});
  const std::string line = ancestor.error_line();
  CHECK(line.starts_with("grex-lock: possible deadlock: " + dir / "P/.grex-lock: ancestor pid " +
                         std::to_string(ancestor.pid())));
  until([&dir] { return waiters_on(dir / "P/.grex-lock") == 1; });
  ancestor.write("\n");
  CHECK(ancestor.line() == "ran");
  CHECK(ancestor.wait() == exited(0));
}

TEST_CASE("a sharer behind the gate of a waiter hears of a possible deadlock before it waits there") {
  const TempDir dir;
  dir.make("P");
  const Finished sharer = script(
      "\"$LOCK\" run -s P -- true; \"$LOCK\" hold --detach --while-pid $$ P; mkfifo w\n"
      "\"$LOCK\" run -q --json-status-fd 5 P -- true 5>w 2>/dev/null &\n"
      "read -r waiting <w; while flock -n P/.grex/.grex-lock.gate true; do :; done\n"
      "\"$LOCK\" run -s -w 1 P -- true; status=$?; kill $!; wait; \"$LOCK\" release P; exit $status",
      dir);
  CHECK(sharer.ended == exited(75));
  CHECK(has(sharer.err, "possible deadlock: "));
  reap(std::stoi(sharer.out.substr(sharer.out.find(' '))));
}

TEST_CASE("a hold for the life of an ancestor is a possible deadlock, and busy without waiting") {
  const TempDir dir;
  dir.make("P");
  Process shell(bash("\"$LOCK\" hold --detach --while-pid $$ P >&2\n"
                     "\"$LOCK\" run -n -q -E 3 P -- true; echo $?\n"
                     "\"$LOCK\" run -q P -- echo ran & read -r line\n"
                     "\"$LOCK\" release P; wait $!"),
                in(dir.path()));
  const pid_t hold = std::stoi(shell.error_line().substr(std::string("pid ").size()));
  CHECK(shell.line() == "3");
  const std::string line = shell.error_line();
  CHECK(has(line, "possible deadlock: " + dir / "P/.grex-lock: hold pid "));
  CHECK(has(line, " pid " + std::to_string(shell.pid()) + " ends"));
  until([&dir] { return waiters_on(dir / "P/.grex-lock") == 1; });
  shell.write("\n");
  CHECK(shell.line() == "ran");
  CHECK(shell.wait() == exited(0));
  reap(hold);
}

TEST_CASE("a stranger's lock is simply busy, also that of a hold for a stranger") {
  const TempDir dir;
  dir.make("P");
  Process stranger({"sleep", "600"});
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(stranger.pid()), dir / "P"}));
  hold.line();
  const Finished busy = run_tool({"run", "-w", "0.05", "-E", "3", dir / "P", "--", "true"});
  CHECK(busy.ended == exited(3));
  CHECK_FALSE(has(busy.err, "deadlock"));
  CHECK_FALSE(has(busy.err, "ancestor"));
  // The command inherits the lock of another file only.
  Process other({"flock", dir / "other", grex_lock(), "run", "-n", "-E", "3", dir / "P", "--", "true"});
  CHECK(other.wait() == exited(3));
}

// What the holder sees.

namespace {

// Whether the kernel shows what a process sleeps in, and its children: without that, no
// deadlock of a descendant is certain.
bool can_be_certain() {
  Process sleeper(until_input_closes());
  sleeper.line();
  const std::string directory = "/proc/" + std::to_string(sleeper.pid());
  if (!exists(directory + "/task/" + std::to_string(sleeper.pid()) + "/children")) return false;
  // It may still run when it is looked at, and then it sleeps in no function.
  constexpr int looks = 10'000;
  for (int i = 0; i < looks; ++i) {
    const std::string channel = content_of(directory + "/wchan");
    if (!channel.empty() && channel != "0") return true;
  }
  return false;
}

// The next event of this name on standard output.
json next_event(Process& process, const std::string& name) {
  for (;;) {
    json event = json::parse(process.line());
    if (event["event"] == name) return event;
  }
}

// Prints its PID, and waits for the lock file with the name P/.grex-lock, as grex does; it
// is daemonised first if `fork`.
std::string python_waiter(bool is_daemon) {
  return std::string("python3 -c 'import fcntl, os, sys\n") +
         (is_daemon ? "if os.fork(): os._exit(0)\nos.setsid()\n" : "") +
         "print(os.getpid(), flush=True)\n"
         "fcntl.flock(open(\"P/.grex-lock\", \"a\"), fcntl.LOCK_EX)' >&2";
}

}  // namespace

TEST_CASE("a command that waits for the lock of its own run is reported as a deadlock, also with -q") {
  const TempDir dir;
  dir.make("P");
  Process run(grex_lock({"run", "-q", "--json-status-fd=1", "P", "--", "flock", "P/.grex-lock", "true"}),
              in(dir.path()));
  const json event = next_event(run, "deadlock");
  CHECK(event["certain"] == true);
  CHECK(event["command"] == json({"flock", "P/.grex-lock", "true"}));
  const pid_t pid = event["pid"];
  CHECK(run.error_line() == "grex-lock: deadlock: " + dir / "P/.grex-lock: CMD, pid " + std::to_string(pid) +
                                " (flock P/.grex-lock true), waits for this lock; to break it: kill " +
                                std::to_string(pid));
  CHECK(process_exists(pid));  // nothing is ended
  CHECK(waiters_on(dir / "P/.grex-lock") == 1);
}

TEST_CASE("a process for which the command waits is reported as a deadlock, whatever program it is") {
  const TempDir dir;
  dir.make("P");
  const bool is_certain = can_be_certain();
  for (const std::string& command : {std::string("flock P/.grex-lock true; true"), python_waiter(false) + "; true",
                                     std::string("flock P/.grex-lock true & wait")}) {
    CAPTURE(command);
    Process run(grex_lock({"run", "--json-status-fd=1", "P", "--", "sh", "-c", command}), in(dir.path()));
    const json event = next_event(run, "deadlock");
    CHECK(event["certain"] == is_certain);
    std::string line = run.error_line();
    if (!line.starts_with("grex-lock: ")) line = run.error_line();  // the PID of the waiter
    const std::string waiter = "pid " + std::to_string(event["pid"].get<pid_t>()) + " (";
    CHECK(has(line, is_certain ? " deadlock: " + dir / "P/.grex-lock: CMD waits for " + waiter
                               : "possible deadlock: " + dir / "P/.grex-lock: " + waiter));
  }
}

TEST_CASE("a descendant for which the command need not wait is a possible deadlock, which -q does not show") {
  const TempDir dir;
  dir.make("P");
  for (const char* const option : {"-q", "--no-record"}) {
    CAPTURE(option);
    Process run(grex_lock({"run", option, "--json-status-fd=1", "P", "--", "bash", "-c",
                           "flock P/.grex-lock true & read -r line; kill $!; wait; exit 0"}),
                in(dir.path()));
    const json event = next_event(run, "deadlock");
    CHECK(event["certain"] == false);
    const pid_t pid = event["pid"];
    run.write("\n");
    CHECK(run.wait() == exited(0));
    const std::string line = "grex-lock: possible deadlock: " + dir / "P/.grex-lock: pid " + std::to_string(pid) +
                             " (flock P/.grex-lock true), a descendant of CMD, waits for this lock\n";
    CHECK(run.error_rest() == (std::string(option) == "-q" ? "" : line));
  }
}

TEST_CASE("strangers, daemons that the command has left, and waits with a time limit are no deadlock") {
  const TempDir dir;
  dir.make("P");
  write_file(dir / "P/.grex-lock", "");
  Process run(grex_lock({"run", "--json-status-fd=1", "P", "--", "bash", "-c",
                         python_waiter(true) + "; flock -w 600 P/.grex-lock true & limited=$!\n" +
                             "read -r line; flock P/.grex-lock true & read -r line; kill $limited $!; wait"}),
              in(dir.path()));
  const pid_t daemon = std::stoi(run.error_line());
  Process stranger({"flock", dir / "P/.grex-lock", "true"});
  until([&dir] { return waiters_on(dir / "P/.grex-lock") == 3; });
  run.write("\n");
  const json event = next_event(run, "deadlock");
  // The look that shows this one has seen the others, too.
  const pid_t pid = event["pid"];
  CHECK(has(content_of("/proc/" + std::to_string(pid) + "/cmdline"), std::string("flock\0P/", 8)));
  run.write("\n");
  CHECK(run.wait() == exited(0));
  const std::string events = run.rest();
  CHECK_FALSE(has(events, "deadlock"));
  const std::string lines = run.error_rest();
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 1);
  CHECK(stranger.wait() == exited(0));
  reap(daemon);
}

TEST_CASE("what a command has left to its run with --if-lost stop waits as a stranger") {
  const TempDir dir;
  dir.make("P");
  REQUIRE(::mkfifo((dir / "go").c_str(), 0600) == 0);
  Process run(bash("exec \"$LOCK\" run --if-lost stop --close P -- sh -c '(setsid sh -c \"echo \\$\\$; read -r go <go; "
                   "exec env -i "
                   "\\\"$LOCK\\\" run --reentrant P -- echo got\" &); echo >go; read -r line || :'"),
              in(dir.path()));
  const pid_t left = std::stoi(run.line());
  until([&dir] { return waiters_on(dir / "P/.grex-lock") == 1; });
  CHECK(json::parse(run_tool({"status", "--json", dir / "P"}).out).value("deadlocks", json::array()).empty());
  run.close_input();
  CHECK(run.wait() == exited(0));
  CHECK(run.line() == "got");
  reap(left);
}

TEST_CASE("a hold --while-pid reports a process below that PID which waits for its lock") {
  const TempDir dir;
  dir.make("P");
  const bool is_certain = can_be_certain();
  Process shell({"sh", "-c", "read -r line; flock P/.grex-lock true; true"}, in(dir.path()));
  Process hold(grex_lock({"hold", "--json-status-fd=1", "--while-pid", std::to_string(shell.pid()), dir / "P"}));
  next_event(hold, "acquired");
  shell.write("\n");
  hold.line();  // that it holds the lock
  const json event = next_event(hold, "deadlock");
  CHECK(event["certain"] == is_certain);
  const std::string line = hold.error_line();
  CHECK(has(line, "deadlock: " + dir / "P/.grex-lock: "));
  CHECK(has(line, "pid " + std::to_string(shell.pid())));
}

TEST_CASE("the look for deadlocks delays neither the end of the command nor a signal") {
  const TempDir dir;
  dir.make("P");
  Process run(grex_lock({"run", "--json-status-fd=1", "P", "--", "flock", "P/.grex-lock", "true"}), in(dir.path()));
  next_event(run, "deadlock");
  run.signal(SIGTERM);
  CHECK(run.wait() == exited(128 + SIGTERM));
  CHECK_FALSE(is_locked(dir / "P/.grex-lock"));
}

// grex's own commands.

namespace {

// A directory with a program called grex, which only prints its arguments.
class Workspace : public TempDir {
 public:
  Workspace() {
    make("bin");
    make("ws/.grex");
    make("ws/app");
    write_file(*this / "ws/.grex/pack.yaml", "");
    write_file(*this / "bin/grex", "#!/bin/sh\necho ran\n");
    REQUIRE(::chmod((*this / "bin/grex").c_str(), 0755) == 0);
  }
  [[nodiscard]] Setup setup() const {
    return {.environment = {{"PATH", *this / "bin:" + ::getenv("PATH")}, {"SHELL", "/bin/sh"}}, .directory = path()};
  }
  // The warning of a run with these words, whose command is `run`, too.
  [[nodiscard]] std::string warning_of(std::initializer_list<std::string> words) const {
    const Finished finished = run_tool(words, setup());
    CHECK(finished.out == "ran\n");
    CHECK(finished.ended == exited(0));
    return finished.err;
  }
};

}  // namespace

TEST_CASE("a command of grex that needs the very lock gets a warning and a recipe before it waits and starts") {
  const Workspace dir;
  const std::string warning = "grex-lock: warning: " + dir /
                                                           "ws/.grex-lock: grex sync takes this lock itself and will "
                                                           "not get it\n";
  const std::string recipe =
      "grex-lock: beside jobs with --guard, type: grex-lock wait -t workspace-sync " +
      dir / "ws && grex sync ws; or start grex and every job under a slot: grex-lock run -t semaphore --slots 1 " +
      dir / "ws -- CMD\n";
  CHECK(dir.warning_of({"run", "ws", "--", "grex", "sync", "ws"}) == warning + recipe);
  CHECK(
      dir.warning_of({"run", "ws", "--", "bin/grex", "--json", "sync", "--parallel", "4", "ws"}).starts_with(warning));
  CHECK(dir.warning_of({"run", "ws", "-c", "grex sync ws"}) == warning + recipe);
  CHECK(dir.warning_of({"run", "ws", "-c", "grex sync ws && true \"$SHELL\""}) == warning + recipe);
  CHECK(has(dir.warning_of({"run", "--guard", "ws/app", "-c", "true; grex sync ws && true"}),
            dir / "ws/.grex.sync.lock: grex sync takes"));
  CHECK(dir.warning_of({"run", "-s", "ws", "--", "grex", "sync", "app", "--workspace=ws"}).starts_with(warning));
  Process guarded({"flock", "-s", dir / "ws/.grex.sync.lock", "sh", "-c", "echo ready; read -r line"});
  CHECK(guarded.line() == "ready");
  CHECK(has(run_tool({"run", "-w", "1ms", "-t", "workspace-sync", "ws", "--", "grex", "sync", "ws"}, dir.setup()).err,
            "takes this lock itself"));
  guarded.close_input();
  guarded.wait();
  for (const std::string verb : {"update", "teardown"}) {
    CHECK(has(dir.warning_of({"run", "ws", "--", "grex", verb, "ws"}), "grex " + verb + " takes this lock itself"));
  }
  for (const std::string tier : {"workspace-sync", "manifest"}) {
    CHECK(has(dir.warning_of({"run", "-t", tier, "ws", "--", "grex", "sync", "ws"}), "takes this lock itself"));
  }
  CHECK(has(dir.warning_of({"run", "--guard", "ws/app", "--", "grex", "sync", "ws"}),
            dir / "ws/.grex.sync.lock: grex sync takes"));
  CHECK(has(dir.warning_of({"run", "ws/app", "--", "grex", "rm", "ws/app"}), "grex rm takes"));
  CHECK(has(dir.warning_of({"run", "--guard", "ws/app", "--", grex_lock(), "run", "-t", "manifest", "ws/app", "--",
                            "grex", "sync", "ws"}),
            "grex-lock: run it before the outer command takes that lock, or take a slot there instead: -t semaphore "
            "--slots 1 " +
                dir / "ws\n"));
}

TEST_CASE("a command of grex that takes other locks or none gets no warning") {
  const Workspace dir;
  CHECK(dir.warning_of({"run", "ws/app", "--", "grex", "sync", "ws"}).empty());
  CHECK(dir.warning_of({"run", "-t", "semaphore", "--slots", "1", "ws", "--", "grex", "sync", "ws"}).empty());
  CHECK(dir.warning_of({"run", "-q", "ws", "--", "grex", "sync", "ws"}).empty());
  for (const std::string command : {"status ws", "import ws", "sync --dry-run ws", "sync --help"}) {
    CAPTURE(command);
    CHECK(dir.warning_of({"run", "ws", "-c", "grex " + command}).empty());
  }
  CHECK(dir.warning_of({"run", "ws", "-c", "cd ws && grex status"}).empty());
  CHECK(dir.warning_of({"run", "ws", "--", "grex", "rm", "--force", "ws"}).empty());
  CHECK(dir.warning_of({"run", "ws", "--", "echo", "ran"}).empty());
}
