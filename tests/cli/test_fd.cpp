#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

Finished run_script(const TempDir& dir, const std::string& script) { return finish(bash(script), in(dir.path())); }

}  // namespace

TEST_CASE("a descriptor that the shell opened is locked until the shell ends") {
  const TempDir dir;
  Process script(bash("exec 9>>.grex-lock; \"$LOCK\" fd 9 && echo locked; read -r line"), in(dir.path()));
  CHECK(script.line() == "locked");
  CHECK(is_locked(dir / ".grex-lock"));
  const Finished busy = run_tool({"run", "-n", dir.path(), "--", "true"});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find("held by pid " + std::to_string(script.pid())) != std::string::npos);
  script.close_input();
  CHECK(script.wait() == exited(1));  // the status of read
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a shell in an outer PID namespace is not named in the record of a descriptor's lock") {
  const TempDir dir;
  const Finished finished =
      run_script(dir, "exec 9>>.grex-lock; unshare --user --map-root-user --pid --fork \"$LOCK\" fd -q 9");
  CHECK(finished.ended == exited(0));
  CHECK(json::parse(content_of(dir / ".grex-lock"))["command"] == json::array());
}

TEST_CASE("a record of a descriptor's lock names the shell, and fd -u marks it as released") {
  const TempDir dir;
  Process script(bash("exec 9>>.grex-lock; \"$LOCK\" fd --note mine 9; echo; read -r line; \"$LOCK\" fd -u 9; echo; "
                      "read -r line"),
                 in(dir.path()));
  script.line();
  const json record = json::parse(content_of(dir / ".grex-lock"));
  CHECK(record["verb"] == "fd");
  CHECK(record["note"] == "mine");
  CHECK(record["command"][0] == "bash");
  const json lock = json::parse(run_tool({"status", "--json", dir.path()}).out)["locks"][2];
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][1]["pid"] == script.pid());
  CHECK(lock["holders"][1]["role"] == "fd-holder");
  script.write("\n");
  script.line();
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  CHECK(has_released_record(dir / ".grex-lock"));
}

TEST_CASE("fd fails like other commands if the lock is busy, and the descriptor stays usable") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  const Finished script = run_script(dir,
                                     "exec 9>>.grex-lock; \"$LOCK\" fd -n 9; echo $?; \"$LOCK\" fd -w 1ms 9; echo $?\n"
                                     "\"$LOCK\" fd -n -E 3 9; echo $?; echo written >&9");
  CHECK(script.out == "75\n75\n3\n");
  CHECK(script.err.starts_with("grex-lock: busy: " + dir.path() + "/.grex-lock: held by pid "));
  CHECK(content_of(dir / ".grex-lock") == "written\n");
}

TEST_CASE("fd -v shows what is locked and unlocked, and a wait") {
  const TempDir dir;
  const std::string files = dir / ".grex-lock" + ", " + dir / ".grex/.grex-lock" + "\n";
  dir.make(".grex");
  const Finished both =
      finish(bash("exec 8>>.grex-lock 9>>.grex/.grex-lock; \"$LOCK\" fd -v 8 9; \"$LOCK\" fd -uv 9 8"), in(dir.path()));
  CHECK(both.ended == exited(0));
  CHECK(both.err == "grex-lock: locked " + files + "grex-lock: unlocked " + files);

  Stranger stranger(dir / ".grex-lock");
  Process waiter(bash("exec 9>>.grex-lock; \"$LOCK\" fd -v --layout flat 9"), in(dir.path()));
  CHECK(waiter.error_line().starts_with("grex-lock: waiting for " + dir / ".grex-lock" + ": held by pid "));
  stranger.release();
  CHECK(waiter.error_line().starts_with("grex-lock: locked " + dir / ".grex-lock" + " after "));
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("fd waits in the kernel's queue, and a signal ends the wait") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  const std::string open_and_lock = "exec 9>>.grex-lock; exec \"$LOCK\" fd 9";
  Process first(bash(open_and_lock), in(dir.path()));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  first.signal(SIGTERM);
  CHECK(first.wait() == exited(128 + SIGTERM));
  CHECK(waiters_on(dir / ".grex-lock") == 0);
  Process second(bash(open_and_lock), in(dir.path()));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  lock.reset();
  CHECK(second.wait() == exited(0));
}

TEST_CASE("a descriptor's lock can be shared, and taken again in the other mode") {
  const TempDir dir;
  const Finished script = run_script(
      dir,
      "exec 8<>.grex-lock 9<>.grex-lock; \"$LOCK\" fd -s 8; \"$LOCK\" fd -s 9; \"$LOCK\" fd -n -x 9; echo $?\n"
      "\"$LOCK\" fd -u 8; \"$LOCK\" fd -n -x 9; echo $?; \"$LOCK\" fd -n -s 8; echo $?\n"
      "\"$LOCK\" fd -s 9; \"$LOCK\" fd -n -s 8; echo $?");
  CHECK(script.out == "75\n0\n75\n0\n");
  CHECK(has_released_record(dir / ".grex-lock"));
}

TEST_CASE("a slot's descriptor is never shared") {
  const TempDir dir;
  dir.make(".grex");
  const Finished two = finish(bash("exec 8>>.grex/.grex.slot-0.lock 9>>.grex/.grex.slot-0.lock\n"
                                   "\"$LOCK\" fd -q -n -s 8; \"$LOCK\" fd -q -n -s 9; echo $?"),
                              in(dir.path()));
  CHECK(two.out == "75\n");
  const Finished events =
      finish(bash("exec 9>>.grex/.grex.slot-1.lock; \"$LOCK\" fd -s --json-status-fd 1 9"), in(dir.path()));
  CHECK(events.out.find("\"mode\":\"exclusive\"") != std::string::npos);
  CHECK(events.out.find("\"mode\":\"shared\"") == std::string::npos);
}

TEST_CASE("taking a descriptor's lock again changes nothing") {
  const TempDir dir;
  const Finished script = run_script(
      dir,
      "exec 9>>.grex-lock; \"$LOCK\" fd 9; s=$(\"$LOCK\" fd --export 9) || exit; eval \"$s\"; \"$LOCK\" stack --json\n"
      "\"$LOCK\" status --json . | grep -c '\"record\":\"valid\"'; \"$LOCK\" run -w 1ms . -- true; echo $?\n"
      "s=$(\"$LOCK\" fd --export 9) || exit; eval \"$s\"; \"$LOCK\" stack --json");
  std::istringstream lines(script.out);
  std::string line;
  std::getline(lines, line);
  const json stack = json::parse(line);
  REQUIRE(stack["entries"].size() == 1);
  CHECK(stack["entries"][0]["live"] == true);
  std::getline(lines, line);
  CHECK(line == "1");
  std::getline(lines, line);
  CHECK(line == "75");
  std::getline(lines, line);
  CHECK(json::parse(line) == stack);
}

TEST_CASE("a lock lost while changing its mode is reported") {
  const TempDir dir;
  const Finished script =
      run_script(dir, "exec 8<>.grex-lock 9<>.grex-lock; \"$LOCK\" fd -s 8; \"$LOCK\" fd -s 9; \"$LOCK\" fd -n -x 9");
  CHECK(script.ended == exited(75));
  CHECK(script.err.find("\ngrex-lock: descriptor 9 has also lost its shared lock: flock(2) converts in two steps\n") !=
        std::string::npos);
}

TEST_CASE("an exported lock of a descriptor counts as an ancestor's until it is released") {
  const TempDir dir;
  const Finished script = run_script(
      dir,
      "exec 9>>.grex-lock; s=$(\"$LOCK\" fd --export 9) || exit; eval \"$s\"; \"$LOCK\" run . -- true; echo $?\n"
      "\"$LOCK\" run --reentrant . -- echo ours; \"$LOCK\" run -t workspace-sync . -- true; echo $?\n"
      "\"$LOCK\" fd -s 9; echo $?  # its own lock, not an ancestor's\n"
      "eval \"$(\"$LOCK\" fd -u --export 9)\"; echo \"[$GREX_LOCK_STACK]\"; \"$LOCK\" run . -- echo free");
  CHECK(script.out == "75\nours\n76\n0\n[]\nfree\n");
}

TEST_CASE("a lock file's name sets the tier of its descriptor, and -t that of any other file") {
  const TempDir dir;
  const Finished script = run_script(dir,
                                     "exec 7>>.grex.sync.lock 8>>plain; \"$LOCK\" fd --export -t manifest 7\n"
                                     "\"$LOCK\" fd --export -t backend 8; \"$LOCK\" fd --export 8");
  std::istringstream lines(script.out);
  for (const char* const tier : {"workspace-sync", "backend", "per-pack"}) {
    std::string line;
    std::getline(lines, line);
    CHECK(line.starts_with("export GREX_LOCK_STACK='[{\"tier\":\"" + std::string(tier) + "\","));
  }
}

// SECURITY.md: pass another file to `fd`, so that it is emptied | only a lock file of grex gets a record
TEST_CASE("fd does not write to a file that is not a grex lock file") {
  const TempDir dir;
  write_file(dir / "data", "precious\n");
  const Finished script = run_script(dir, "exec 9<>data; \"$LOCK\" fd 9; \"$LOCK\" fd -u 9; \"$LOCK\" fd -s 9");
  CHECK(script.ended == exited(0));
  CHECK(content_of(dir / "data") == "precious\n");
  // In a grex lock file, empty content or a record would be replaced.
  const std::string record = run_script(dir, "exec 9>>.grex-lock; \"$LOCK\" fd 9; cat .grex-lock").out;
  CHECK(record.starts_with("{\"pid\":"));
  for (const std::string& content : {std::string(), record}) {
    CAPTURE(content);
    write_file(dir / "data", content);
    CHECK(run_script(dir, "exec 9<>data; \"$LOCK\" fd 9; cat data; \"$LOCK\" fd -u 9").out == content);
    CHECK(content_of(dir / "data") == content);
    // With --no-record, it stays in a grex lock file too.
    write_file(dir / ".grex-lock", content);
    CHECK(run_script(dir, "exec 9>>.grex-lock; \"$LOCK\" fd --no-record 9; cat .grex-lock").out == content);
    CHECK(content_of(dir / ".grex-lock") == content);
  }
  write_file(dir / ".grex-lock", "left by somebody");
  run_script(dir, "exec 9>>.grex-lock; \"$LOCK\" fd 9; \"$LOCK\" fd -u 9");
  CHECK(content_of(dir / ".grex-lock") == "left by somebody");
}

TEST_CASE("a read-only descriptor can be locked, without a record") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const Finished script =
      run_script(dir, "exec 9<.grex-lock; \"$LOCK\" fd 9; \"$LOCK\" probe .; echo $?; test -s .grex-lock; echo $?");
  CHECK(script.out == "75\n1\n");
}

TEST_CASE("a descriptor that is closed or not a file is a clear error") {
  const TempDir dir;
  // The last command of a script takes its shell's place, and then its parent is this process.
  const Finished closed = run_script(dir, "\"$LOCK\" fd 9; exit $?");
  CHECK(closed.ended == exited(64));
  CHECK(closed.err ==
        "grex-lock: usage: descriptor 9 is not open\n"
        "grex-lock: open it in the shell first, for example: exec 9>>FILE\n");
  for (const char* const script : {"exec 9<.; \"$LOCK\" fd 9", "true | \"$LOCK\" fd 0", "\"$LOCK\" fd 0 </dev/null"}) {
    CAPTURE(script);
    const Finished finished = run_script(dir, script);
    CHECK(finished.ended == exited(77));
    CHECK(finished.err.find("not a regular file\n") != std::string::npos);
  }
  for (const char* const words : {"", "nine", "-1", "9 8", "-u -n 9", "-u -s 9", "--export --json 9", "99999999999"}) {
    CAPTURE(words);
    const Finished bad = run_script(dir, "exec 9>>.grex-lock; \"$LOCK\" fd " + std::string(words) +
                                             "; s=$?; flock -n .grex-lock echo free; exit $s");
    CHECK(bad.ended == exited(64));
    CHECK(bad.out.ends_with("free\n"));  // while the descriptor is still open
  }
}

TEST_CASE("a file that was removed or replaced since it was opened is refused, and not left locked") {
  const TempDir dir;
  const Finished script = run_script(dir,
                                     "exec 9>>.grex-lock; ln .grex-lock kept; rm .grex-lock; \"$LOCK\" fd 9; echo $?\n"
                                     "echo new >.grex-lock; \"$LOCK\" fd 9; echo $?; flock -n kept echo free\n"
                                     "exec 8>>other; \"$LOCK\" fd 8; rm other; \"$LOCK\" fd 8; echo $?");
  CHECK(script.out == "77\n77\nfree\n77\n");
  CHECK(script.err.find("the file was removed or replaced since it was opened\n") != std::string::npos);
  CHECK(content_of(dir / ".grex-lock") == "new\n");
}

TEST_CASE("fd keeps no lock if its output cannot be written") {
  const TempDir dir;
  const Finished script =
      run_script(dir, "exec 9>>.grex-lock; \"$LOCK\" fd --export 9 >/dev/full; echo $?; \"$LOCK\" probe .; echo $?");
  CHECK(script.out == "74\n0\n");
}

TEST_CASE("fd --json prints the lock") {
  const TempDir dir;
  const Finished script = run_script(dir, "exec 9>>.grex-lock; \"$LOCK\" fd --json 9");
  const json document = json::parse(script.out);
  CHECK(document["verb"] == "fd");
  CHECK(document["locks"][0]["path"] == dir / ".grex-lock");
  CHECK(document["locks"][0]["mode"] == "exclusive");
}

TEST_CASE("fd exits with 0 exactly if the descriptor is locked, whenever a signal arrives") {
  // From its first step to well after its last, at this machine's speed.
  const int steps = tries(120);
  std::chrono::nanoseconds whole{};
  constexpr int enough = 3;
  int locked = 0;
  int ended_early = 0;
  // Until both outcomes have occurred; each sweep goes twice as far as the last.
  for (int i = 0; i < steps || locked < enough || ended_early < enough; ++i) {
    REQUIRE(i < 12 * steps);
    const TempDir dir;
    const Fd ours(::open((dir / ".grex-lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    Process fd(grex_lock({"fd", "9"}), {.before_exec = [&ours] { ::dup2(ours.get(), 9); }});
    if (i == 0) {
      whole = fd.time_to_end();
      continue;
    }
    fd.run_for(whole * (i % steps) * 3 / (2 * steps) * (1 << (i / steps)));
    fd.signal(SIGTERM);
    const bool succeeded = fd.wait() == exited(0);
    ++(succeeded ? locked : ended_early);
    CHECK(is_locked(dir / ".grex-lock") == succeeded);
  }
  MESSAGE(locked << " locked the descriptor, " << ended_early << " ended early");
}

TEST_CASE("fd works without /proc") {
  if (::geteuid() != 0) return skip("only root can take /proc away");
  if (is_sanitized()) return skip("a sanitizer's own start needs /proc");
  const TempDir dir;
  const Finished finished = finish({"unshare", "-m", "bash", "-c",
                                    "mount -t tmpfs none /proc; exec 9>>.grex-lock; \"$LOCK\" fd 9; echo $?; "
                                    "flock -n .grex-lock true || echo locked"},
                                   in(dir.path()));
  CAPTURE(finished.err);
  CHECK(finished.out == "0\nlocked\n");
}
