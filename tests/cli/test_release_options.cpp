// Which holds `release` ends, how long it waits, and what it reports; and holds of lock files
// that were removed.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// A `hold` that has taken its locks.
Process hold(std::initializer_list<std::string> options) {
  Words words = grex_lock({"hold"});
  words.insert(words.end(), options);
  Process process(words);
  process.line();
  return process;
}

// Can't restore its lock until it is continued.
Process stopped_hold(std::initializer_list<std::string> options) {
  Process process = hold(options);
  process.signal(SIGSTOP);
  until([&process] { return state_of(process.pid()) == 'T'; });
  return process;
}

Finished release(std::initializer_list<std::string> words, const Setup& setup = {}) {
  Words line = grex_lock({"release"});
  line.insert(line.end(), words);
  return finish(line, setup);
}

std::string number(const Process& process) { return std::to_string(process.pid()); }

void remove(const std::string& path) { REQUIRE(::unlink(path.c_str()) == 0); }

void check_refused(const Finished& finished, const std::string& why) {
  CAPTURE(finished.err);
  CHECK(finished.ended == exited(69));
  CHECK(finished.err.find(why) != std::string::npos);
}

bool is_running(const Process& process) {
  const char state = state_of(process.pid());
  return state != ' ' && state != 'Z';
}

// A hold that was killed, and whose end closes its input first: that is in a file system
// that doesn't answer.
class EndingHold {
 public:
  EndingHold(const TempDir& dir, const std::string& pack, const std::string& options)
      : server_(on_fuse(dir.make("mounted"), 0,
                        ": >" + dir / "mounted/input; exec " + grex_lock() + " hold " + options + " " + pack + " <" +
                            dir / "mounted/input")) {
    const std::string held = server_.line();
    if (held.empty()) return;
    pid_ = std::stoi(held.substr(held.find(' ')));
    server_.signal(SIGSTOP);
    until([this] { return state_of(server_.pid()) == 'T'; });
    ::kill(pid_, SIGKILL);
    until([this] { return state_of(pid_) == 'D'; });
  }
  [[nodiscard]] bool is_there() const { return pid_ != 0; }  // else FUSE can't be mounted
  [[nodiscard]] pid_t pid() const { return pid_; }
  void let_end() { server_.signal(SIGCONT); }

 private:
  Process server_;
  pid_t pid_ = 0;
};

// Ignores SIGTERM, and looks like a hold of the pack.
Process stubborn_hold(const TempDir& dir) {
  write_file(dir / "hold",
             "import fcntl, signal\n"
             "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
             "f = open('.grex-lock', 'w')\n"
             "fcntl.flock(f, fcntl.LOCK_EX)\n"
             "print(flush=True)\n"
             "input()\n");
  const std::string program = dir / "grex-lock";
  const std::string real =
      finish({"python3", "-c", "import os, sys; print(os.path.realpath(sys.executable), end='')"}).out;
  REQUIRE(finish({"cp", "--", real, program}).ended == exited(0));
  const std::string home = finish({"python3", "-c", "import sys; print(sys.base_prefix, end='')"}).out;
  Process process({"env", "PYTHONHOME=" + home, program, "hold"}, in(dir.path()));
  process.line();
  return process;
}

}  // namespace

TEST_CASE("release --if-held succeeds if no process holds the lock, and only then") {
  const TempDir dir;
  CHECK(release({"--if-held", dir.path()}).ended == exited(0));  // there is no lock file
  write_file(dir / ".grex-lock", "");
  const Finished free = release({"--if-held", "--json", dir.path()});
  CHECK(free.ended == exited(0));
  CHECK(free.err.empty());
  const json document = json::parse(free.out);
  CHECK(document["verb"] == "release");
  CHECK(document["pid"].is_null());
  CHECK(document["pids"] == json::array());

  const Fd lock = lock_as_grex(dir / ".grex-lock");
  check_refused(release({"--if-held", dir.path()}), "held by a process that is not a 'grex-lock hold': pid ");
  CHECK(release({"--if-held", dir / "none"}).ended == exited(66));
  Process other = hold({"-t", "workspace-sync", dir.path()});
  CHECK(release({"--if-held", "-t", "workspace-sync", dir.path()}).ended == exited(0));
  CHECK(other.wait() == exited(0));
}

TEST_CASE("release --if-held succeeds however a hold that ends by itself comes before it") {
  const TempDir dir;
  for (int i = 0; i < tries(50); ++i) {
    Process ending(grex_lock({"hold", "--for", "0.001", dir.path()}));
    ending.line();
    const Finished finished = release({"--if-held", dir.path()});
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(0));
    CHECK(ending.wait() == exited(0));
  }
}

TEST_CASE("release --pid ends the hold of that process, and no other") {
  const TempDir dir;
  Process first = hold({"-s", dir.path()});
  Process second = hold({"-s", dir.path()});
  const Finished several = release({"--json", dir.path()});
  CHECK(several.ended == exited(69));
  const json error = json::parse(several.out)["error"];
  CHECK(error["kind"] == "not-held");
  CHECK(error["hint"] == "use --pid PID or --all");
  CHECK(error["holders"].size() == 2);

  const json document = json::parse(release({"--json", "--pid", number(second), dir.path()}).out);
  CHECK(document["pid"] == second.pid());
  CHECK(document["pids"] == json::array({second.pid()}));
  CHECK(second.wait() == exited(0));
  CHECK(is_running(first));
  CHECK(release({dir.path()}).ended == exited(0));
  CHECK(first.wait() == exited(0));
}

TEST_CASE("release --pid ends no process that is not a hold of this lock") {
  const TempDir dir;
  const std::string other = dir.make("other");
  Process elsewhere = hold({other});
  check_refused(release({"--pid", number(elsewhere), dir.path()}), "no process holds it");
  Process shared = hold({"-s", dir.path()});
  check_refused(release({"--pid", number(elsewhere), dir.path()}), "pid " + number(elsewhere) + " does not hold it");
  // What is not held by that process need not be released.
  CHECK(release({"--if-held", "--pid", number(elsewhere), dir.path()}).ended == exited(0));
  Process run(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo ready; read line; exit 0"}));
  CHECK(run.line() == "ready");
  for (const char* const option : {"--if-held", "--verbose"}) {
    check_refused(release({option, "--pid", number(run), dir.path()}), "pid " + number(run));
  }
  CHECK(is_running(elsewhere));
  CHECK(is_running(shared));
  CHECK(is_running(run));
  run.close_input();
  CHECK(run.wait() == exited(0));
}

TEST_CASE("release --all ends all holds of a lock, and leaves what else shares it") {
  const TempDir dir;
  Process first = hold({"-s", dir.path()});
  Process second = stopped_hold({"-s", dir.path()});
  Process run(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo ready; read line; exit 0"}));
  CHECK(run.line() == "ready");
  const json document = json::parse(release({"--json", "--all", dir.path()}).out);
  CHECK(document["pids"].size() == 2);
  CHECK(first.wait() == exited(0));
  CHECK(second.wait() == exited(0));
  CHECK(is_running(run));
  check_refused(release({"--all", dir.path()}), "pid " + number(run));
  run.close_input();
  CHECK(run.wait() == exited(0));
  check_refused(release({"--all", dir.path()}), "no process holds it");
  CHECK(release({"--all", "--if-held", dir.path()}).ended == exited(0));

  Process slot = hold({"-t", "semaphore", "--slots", "4", dir.path()});
  Process other_slot = hold({"-t", "semaphore", "--slots", "4", dir.path()});
  CHECK(release({"--all", "-t", "semaphore", dir.path()}).ended == exited(0));
  CHECK(slot.wait() == exited(0));
  CHECK(other_slot.wait() == exited(0));
}

TEST_CASE("options of release that make no sense together, or not at all, are usage errors") {
  const TempDir dir;
  for (const Words& options : {Words{"--pid", "1", "--all"}, Words{"-q", "-v"}, Words{"--pid", "x"},
                               Words{"--pid", "-1"}, Words{"--pid"}, Words{"-w", "soon"}, Words{"-w"}}) {
    CAPTURE(options.front());
    Words words = grex_lock({"release"});
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(dir.path());
    if (options.size() == 1) words.pop_back();
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(64));
    CHECK(finished.err.starts_with("grex-lock: usage: "));
  }
}

TEST_CASE("several releases at the same time all succeed with --if-held") {
  const TempDir dir;
  for (int i = 0; i < 3; ++i) {
    const Finished held = run_tool({"hold", "--detach", dir.path()});
    const std::string script = "for i in 1 2 3 4; do \"$LOCK\" release --if-held . || echo \"status $?\" & done; wait";
    const Finished released = finish(bash(script), in(dir.path()));
    CHECK(released.out == "");
    CHECK(released.err == "");
    reap(std::stoi(held.out.substr(held.out.find(' '))));
  }
}

TEST_CASE("release waits for a hold whose end has begun, and does not end the next one") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  EndingHold first(dir, pack, "");
  if (!first.is_there()) return skip("FUSE may not be mounted here");
  const Finished at_once = release({"-w", "0", "--if-held", pack});
  CHECK(at_once.ended == exited(75));
  const std::string why = "not released: " + pack + "/.grex-lock: held by a process that has not yet ended: pid ";
  CHECK(at_once.err == "grex-lock: " + why + std::to_string(first.pid()) + "\n");
  CHECK(json::parse(release({"--json", "-w", "1ms", pack}).out)["error"]["waited_ms"].is_number_unsigned());

  Process next(grex_lock({"hold", "-q", pack}));
  until([&pack] { return waiters_on(pack + "/.grex-lock") == 1; });
  Process waiting(grex_lock({"release", "--if-held", pack}));
  Process strict(grex_lock({"release", pack}));
  for (const Process* const process : {&waiting, &strict}) {
    until([process] { return state_of(process->pid()) == 'S'; });
  }
  first.let_end();
  CHECK(waiting.wait() == exited(0));
  CHECK(strict.wait() == exited(69));
  CHECK(strict.error_rest() ==
        "grex-lock: not released: " + pack + "/.grex-lock: the process that held it has ended\n");
  CHECK(next.line() == "pid " + number(next) + " holds " + pack + "/.grex-lock");
  CHECK(is_running(next));
  CHECK(release({pack}).ended == exited(0));
  CHECK(next.wait() == exited(0));
}

TEST_CASE("release --all and --pid wait for a hold whose end has begun beside others") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  EndingHold ending(dir, pack, "-s");
  if (!ending.is_there()) return skip("FUSE may not be mounted here");
  Process other = hold({"-s", pack});
  CHECK(release({"-w", "0", "--pid", std::to_string(ending.pid()), pack}).ended == exited(75));
  CHECK(is_running(other));
  CHECK(release({"-w", "100ms", "--all", pack}).ended == exited(75));
  CHECK(other.wait() == exited(0));
  Process all(grex_lock({"release", "--all", "--if-held", pack}));
  until([&all] { return state_of(all.pid()) == 'S'; });
  ending.let_end();
  CHECK(all.wait() == exited(0));
}

TEST_CASE("release -w says how long the hold has to end") {
  const TempDir dir;
  Process stubborn = stubborn_hold(dir);
  const Finished at_once = release({"-w", "0", dir.path()});
  CHECK(at_once.ended == exited(75));
  CHECK(at_once.err == "grex-lock: not released: " + dir / ".grex-lock" + ": asked to end, but still there: pid " +
                           number(stubborn) + "\n");
  const Finished finished = release({"--json", "--timeout", "20ms", "--pid", number(stubborn), dir.path()});
  CHECK(finished.ended == exited(75));
  const json error = json::parse(finished.out)["error"];
  CHECK(error["kind"] == "timeout");
  REQUIRE(error["holders"].size() == 1);
  CHECK(error["holders"][0]["pid"] == stubborn.pid());
  CHECK(error["waited_ms"].is_number_unsigned());
  CHECK(release({"-q", "-w", "1ms", dir.path()}).err.empty());
  CHECK(is_running(stubborn));
  stubborn.write("\n");
  CHECK(stubborn.wait() == exited(0));
}

TEST_CASE("with -q, only the exit status shows that nothing was released; -v shows each step") {
  const TempDir dir;
  const Finished quiet = release({"-q", dir.path()});
  CHECK(quiet.ended == exited(69));
  CHECK(quiet.err.empty());
  CHECK(release({"-q", dir / "none"}).err.starts_with("grex-lock: not found: "));

  Process process = hold({dir.path()});
  const Finished verbose = release({"-v", dir.path()});
  CHECK(verbose.ended == exited(0));
  CHECK(verbose.out.empty());
  CHECK(verbose.err.starts_with("grex-lock: asked to end: " + dir / ".grex-lock" + ": pid " + number(process) + "\n"));
  CHECK(verbose.err.find("grex-lock: released") != std::string::npos);
  CHECK(process.wait() == exited(0));
  CHECK(release({"-v", "--if-held", dir.path()}).err == "grex-lock: nothing to release: " + dir / ".grex-lock" + "\n");
}

TEST_CASE("release ends a hold whose lock files were removed, or replaced while another has the new ones") {
  const TempDir dir;
  Process removed = stopped_hold({dir.path()});
  remove(dir / ".grex-lock");
  remove(dir / ".grex/.grex-lock");
  CHECK(release({dir.path()}).ended == exited(0));
  CHECK(removed.wait() == exited(0));

  Process replaced = stopped_hold({"--no-record", dir.path()});
  std::filesystem::remove_all(dir / ".grex");
  remove(dir / ".grex-lock");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  const json document = json::parse(release({"--json", dir.path()}).out);
  CHECK(document["pid"] == replaced.pid());
  CHECK(replaced.wait() == exited(0));
  check_refused(release({dir.path()}), "pid " + std::to_string(::getpid()));
}

// SECURITY.md: write the id of another process, so that `release` ends it | a record is not a reason: the kernel's
// list, the process's descriptors, program, command line and user must agree, of one pidfd
TEST_CASE("release ends no hold only because its file seems to have been at the path") {
  const FlatLayout one_file;
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const std::string other = dir.make("other");
  Process elsewhere = stopped_hold({other});
  // A file that is really called so, and one that was moved away: only the record names its place.
  std::filesystem::rename(other + "/.grex-lock", pack + "/.grex-lock (deleted)");
  check_refused(release({pack}), "no process holds it");
  const Finished moved = release({other});
  check_refused(moved, "the lock file was moved to " + pack + "/.grex-lock (deleted): held by pid ");
  CHECK(moved.err.ends_with("to end it: kill " + number(elsewhere) + "; kill -CONT " + number(elsewhere) + "\n"));
  // By its second name, it may be the lock of another pack.
  REQUIRE(::link((pack + "/.grex-lock (deleted)").c_str(), (other + "/.grex-lock").c_str()) == 0);
  CHECK(release({other}).ended == exited(77));
  CHECK(state_of(elsewhere.pid()) == 'T');
}

TEST_CASE("a removed lock file that has another name, or that flock(1) holds, is not released") {
  const FlatLayout one_file;
  const TempDir dir;
  Process linked = stopped_hold({dir.path()});
  REQUIRE(::link((dir / ".grex-lock").c_str(), (dir / "kept").c_str()) == 0);
  remove(dir / ".grex-lock");
  const Finished refused = release({dir.path()});
  CHECK(refused.ended == exited(77));
  CHECK(refused.err.find("has a second hard link") != std::string::npos);
  linked.signal(SIGKILL);
  CHECK(linked.wait() == killed_by(SIGKILL));

  Process flock({"flock", "-F", dir / ".grex-lock", "sh", "-c", "echo ready; read line"});
  CHECK(flock.line() == "ready");
  remove(dir / ".grex-lock");
  check_refused(release({"--if-held", dir.path()}), "pid " + number(flock));
  CHECK(is_running(flock));
}

TEST_CASE("with a GREX_LOCK_STACK that names a hold, release ends only that one") {
  const TempDir dir;
  Process other = hold({"-s", dir.path()});
  const Finished script = finish(bash("set -e; out=$(\"$LOCK\" hold -s --detach --export --for 1h .); eval \"$out\"\n"
                                      "\"$LOCK\" release .\n"
                                      "s=0; \"$LOCK\" release . || s=$?; echo $s\n"
                                      "\"$LOCK\" release --if-held .; echo $?\n"
                                      "GREX_LOCK_STACK=rubbish \"$LOCK\" release . 2>/dev/null || echo $?\n"
                                      "\"$LOCK\" release --pid " +
                                      number(other) + " .; echo $?"),
                                 in(dir.path()));
  CAPTURE(script.err);
  CHECK(script.out == "69\n0\n65\n0\n");
  CHECK(script.err.find(" (from GREX_LOCK_STACK) no longer holds it\n") != std::string::npos);
  CHECK(other.wait() == exited(0));
  until([] { return ::waitpid(-1, nullptr, WNOHANG) != 0; });
}

TEST_CASE("below a run that shares the lock, release ends the hold that shares it, too") {
  const TempDir dir;
  Process other = hold({"-s", dir.path()});
  CHECK(run_tool({"run", "-s", dir.path(), "--", grex_lock(), "release", dir.path()}).ended == exited(0));
  CHECK(other.wait() == exited(0));
}

TEST_CASE("a hold that guards a workspace holds the workspace's lock, and a run that does is left alone") {
  const TempDir dir;
  dir.make("ws/.grex");
  write_file(dir / "ws/.grex/pack.yaml", "");
  const std::string app = dir.make("ws/app");
  Process guarding = hold({"--guard", app});
  Process sharing = hold({"-s", "-t", "workspace-sync", dir / "ws"});
  check_refused(release({"-t", "workspace-sync", dir / "ws"}), "several holds: pids ");
  CHECK(release({"-t", "workspace-sync", "--pid", number(sharing), dir / "ws"}).ended == exited(0));
  CHECK(sharing.wait() == exited(0));
  CHECK(release({"-t", "workspace-sync", dir / "ws"}).ended == exited(0));
  CHECK(guarding.wait() == exited(0));
  CHECK_FALSE(is_locked(app + "/.grex-lock"));

  Process job(grex_lock({"run", "--guard", app, "--", "sh", "-c", "echo ready; read line; exit 0"}));
  CHECK(job.line() == "ready");
  check_refused(release({"-t", "workspace-sync", dir / "ws"}), "pid " + number(job));
  job.close_input();
  CHECK(job.wait() == exited(0));
}
