// How long a lock lasts under `run`.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

// A command that leaves a daemon behind in its own session, and prints its PID.
// The daemon closes our pipes when it has left our process group. It ends when
// the FIFO that it reads is opened for writing and closed.
std::string leave_daemon(const TempDir& dir) {
  return "mkfifo " + (dir / "fifo") + "; setsid sh -c 'echo $$; exec </dev/null >/dev/null 2>&1; read x <" +
         (dir / "fifo") + "' &";
}

void end_daemon(const TempDir& dir, const std::string& pid_line) {
  const pid_t pid = std::stoi(pid_line);
  write_file(dir / "fifo", "done\n");
  until([pid] { return ::waitpid(pid, nullptr, WNOHANG) == pid || !process_exists(pid); });
}

}  // namespace

TEST_CASE("the lock is held before the command starts and until it ends") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}).ended == exited(1));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a daemon that the command leaves does not keep the lock") {
  const TempDir dir;
  const Finished finished = run_tool({"run", dir.path(), "--", "sh", "-c", leave_daemon(dir)});
  CHECK(finished.ended == exited(0));
  CHECK(process_exists(std::stoi(finished.out)));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  end_daemon(dir, finished.out);
}

TEST_CASE("with --linger the lock stays until no process has it open") {
  const TempDir dir;
  const Finished finished = run_tool({"run", "--linger", dir.path(), "--", "sh", "-c", leave_daemon(dir)});
  CHECK(finished.ended == exited(0));
  CHECK(is_locked(dir / ".grex-lock"));
  const Finished busy = run_tool({"probe", dir.path()});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find("held by pid " + finished.out.substr(0, finished.out.size() - 1)) != std::string::npos);
  Process next(grex_lock({"run", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  end_daemon(dir, finished.out);
  CHECK(next.wait() == exited(0));
}

TEST_CASE("with --close the command inherits no lock, and killing grex-lock frees it") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--close", dir.path(), "--", "sh", "-c", "echo $$; read line"}));
  const pid_t command = std::stoi(tool.line());
  CHECK(is_locked(dir / ".grex-lock"));
  tool.signal(SIGKILL);
  CHECK(tool.wait() == killed_by(SIGKILL));
  CHECK(process_exists(command));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("if grex-lock is killed, the lock stays with the running command") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo $$; read line"}));
  const std::string command = tool.line();
  tool.signal(SIGKILL);
  CHECK(tool.wait() == killed_by(SIGKILL));
  CHECK(is_locked(dir / ".grex-lock"));
  const Finished busy = run_tool({"run", "-n", dir.path(), "--", "true"});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.starts_with("grex-lock: busy: " + dir / ".grex-lock" + ": held by pid " + command + " ("));
  CHECK(busy.err.find(" since ") != std::string::npos);
  CHECK(busy.err.ends_with(": [nightly] sh -c 'echo $$; read line'; its grex-lock (pid " + std::to_string(tool.pid()) +
                           ") has ended\n"));
  Process next(grex_lock({"run", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  tool.close_input();
  CHECK(next.wait() == exited(0));
}

TEST_CASE("with --no-fork grex-lock becomes the command and the lock ends with it") {
  const TempDir dir;
  Process tool(grex_lock({"run", "-F", dir.path(), "--", "sh", "-c", "echo $$; read line; exit 3"}));
  CHECK(tool.line() == std::to_string(tool.pid()));
  CHECK(is_locked(dir / ".grex-lock"));
  tool.close_input();
  CHECK(tool.wait() == exited(3));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a script that uses descriptors 3 to 9 does not lose its lock under --no-fork") {
  const TempDir dir;
  CHECK(run_tool({"run", "-F", dir.path(), "--", "sh", "-c",
                  "exec 3>&- 4>&- 5>/dev/null 9>&-; flock -n " + (dir / ".grex-lock") + " true"})
            .ended == exited(1));
}

// SECURITY.md: as the command, get access to other files of grex-lock | it inherits the lock and what grex-lock was
// given, no more
TEST_CASE("the command gets the lock and no other new descriptor") {
  const TempDir dir;
  // Descriptors that the test inherited are there with and without grex-lock. Pipes
  // and sockets differ each time, so only their type is compared.
  const Words list = {"bash", "-c",
                      "for f in /proc/$$/fd/*; do readlink $f; done | sed 's/^\\(pipe\\|socket\\):.*/\\1/' | sort"};
  const auto words_under = [&](std::initializer_list<std::string> options) {
    Words words = grex_lock({"run", dir.path()});
    words.insert(words.end(), options);
    words.emplace_back("--");
    words.insert(words.end(), list.begin(), list.end());
    return words;
  };
  const auto under = [&](std::initializer_list<std::string> options) { return finish(words_under(options)).out; };
  // After an announced wait, which has its own thread and descriptors.
  const auto after_wait = [&] {
    Fd lock = lock_as_grex(dir / ".grex-lock");
    Process waiter(words_under({"-w", "1h", "-v"}));
    waiter.error_line();
    until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
    lock.reset();
    return waiter.rest();
  };
  const std::string plain = finish(list).out;
  CHECK(under({"-o"}) == plain);
  for (const std::string& shown : {under({}), under({"-F"}), after_wait()}) {
    std::string rest = shown;
    for (const std::string& file : {dir / ".grex-lock\n", dir / ".grex/.grex-lock\n"}) {
      const auto at = rest.find(file);
      REQUIRE(at != std::string::npos);
      rest.erase(at, file.size());
    }
    CHECK(rest == plain);
  }
}

// SECURITY.md: close standard streams, so that a lock becomes one | the numbers 0, 1 and 2 are not used
TEST_CASE("a lock never becomes a standard stream that was closed") {
  const TempDir dir;
  const std::string script = grex_lock() + " run " + dir.path() + " -- sh -c 'test ! -e /proc/self/fd/0' <&-";
  CHECK(finish({"sh", "-c", script}).ended == exited(0));
  // Each of them, and all: neither in the command nor in grex-lock itself.
  for (const std::string closed : {"0", "1", "2", "0 1 2"}) {
    CAPTURE(closed);
    const std::string check_streams =
        "for n in " + closed +
        "; do [ ! -e /proc/$$/fd/$n ] || exit 2; done; "
        "for n in 0 1 2; do readlink /proc/$PPID/fd/$n >>streams; done; flock -n .grex-lock true";
    std::string closing;
    for (const char number : closed) closing += number == ' ' ? std::string(" ") : std::string(1, number) + ">&-";
    const Finished finished =
        finish(bash("\"$LOCK\" run . -- sh -c '" + check_streams + "' " + closing), in(dir.path()));
    CHECK(finished.ended == exited(1));  // flock finds it locked
    const std::string streams = content_of(dir / "streams");
    CHECK_FALSE(streams.empty());
    CHECK(streams.find(".grex-lock") == std::string::npos);
    std::filesystem::remove(dir / "streams");
  }
}

TEST_CASE("a command that cannot be started frees the lock, and the record says so") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", dir / "none"}).ended == exited(127));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
  CHECK(run_tool({"run", "-F", dir.path(), "--", dir / "none"}).ended == exited(127));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
}

TEST_CASE("the record names the holder while it holds, and is marked as released after its end") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--note", "x y", dir.path(), "--", "sh", "-c", "echo; read line; exit 0"}));
  tool.line();
  const std::string record = content_of(dir / ".grex/.grex-lock");
  CHECK(record.find("\"pid\":" + std::to_string(tool.pid()) + ",") != std::string::npos);
  CHECK(record.find("\"note\":\"x y\"") != std::string::npos);
  CHECK(record.find("\"verb\":\"run\"") != std::string::npos);
  CHECK(record.find("\"path\":\"" + (dir / ".grex/.grex-lock") + "\"") != std::string::npos);
  CHECK(record.back() == '\n');
  tool.close_input();
  CHECK(tool.wait() == exited(0));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
}

TEST_CASE("the record is marked as released before the lock is free, not after, and the file is never truncated") {
  // From outside, both look alike: so this checks the order of the system calls.
  const TempDir dir;
  if (finish({"strace", "-o", "/dev/null", "true"}).ended != exited(0)) return skip("strace may not trace here");
  const Words traced = {"strace", "-f",   "-y", "-e",         "trace=ftruncate,pwrite64,flock",
                        "-s",     "4096", "-o", dir / "calls"};
  Words words = grex_lock({"run", dir.path(), "--", "true"});
  words.insert(words.begin(), traced.begin(), traced.end());
  // LeakSanitizer would need ptrace(2), too.
  CHECK(finish(words, {.environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}}).ended == exited(0));
  const std::string calls = content_of(dir / "calls");
  const auto unlocked = calls.find("LOCK_UN");
  REQUIRE(unlocked != std::string::npos);
  const auto released = calls.find("released");
  CHECK(released < unlocked);
  CHECK(calls.find("pwrite64(", unlocked) == std::string::npos);
  CHECK(calls.find("ftruncate(") == std::string::npos);
}

// SECURITY.md: read secrets from a record | it has the program's name, never arguments; a user who can read the lock
// file can read directory and note; `--no-record` writes none
TEST_CASE("a user who may read the lock file can read the program's name, the directory and the note in its record") {
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  Process tool(grex_lock({"run", "--note", "a note", dir.path(), "--", "sh", "-c", "echo; read line", "an argument"}),
               {.directory = dir.path(), .before_exec = [] { ::umask(022); }});
  tool.line();
  const Finished seen = finish({"cat", dir / ".grex/.grex-lock"}, as_user(65534));
  for (const std::string& part : Words{"a note", "\"command\":[\"sh\"]", "\"cwd\":\"" + dir.path() + "\""}) {
    CAPTURE(part);
    CHECK(seen.out.find(part) != std::string::npos);
  }
  for (const char* const secret : {"echo; read line", "an argument"}) {
    CAPTURE(secret);
    CHECK(seen.out.find(secret) == std::string::npos);
  }
}

// SECURITY.md: read secrets from a record | it has the program's name, never arguments; a user who can read the lock
// file can read directory and note; `--no-record` writes none
TEST_CASE("--no-record leaves the lock file as it was") {
  const FlatLayout one_file;
  const TempDir dir;
  const Words in_file = {"--", "cat", dir / ".grex-lock"};
  const auto under = [&](std::initializer_list<std::string> options) {
    Words words = grex_lock(options);
    words.insert(words.end(), in_file.begin(), in_file.end());
    return finish(words).out;
  };
  // Without the option, an empty file or the record of a killed holder would be replaced.
  CHECK(under({"run", "--no-record", dir.path()}).empty());
  const std::string record = under({"run", "--note", "left behind", dir.path()});
  CHECK(record.find("left behind") != std::string::npos);
  write_file(dir / ".grex-lock", record);
  CHECK(under({"run", "--no-record", dir.path()}) == record);
  CHECK(content_of(dir / ".grex-lock") == record);
  write_file(dir / ".grex-lock", "kept");
  CHECK(run_tool({"run", "--no-record", dir.path(), "--", "cat", dir / ".grex-lock"}).out == "kept");
  CHECK(content_of(dir / ".grex-lock") == "kept");
}

// SECURITY.md: as the command, unlock what it inherited, so that another holder's record is overwritten | the lock is
// tried, or looked for, before the record is written
TEST_CASE("run does not change another's record if its command unlocked the file") {
  const FlatLayout one_file;
  const TempDir dir;
  // The command finds its inherited descriptor and unlocks it, then waits.
  Process tool(grex_lock({"run", dir.path(), "--", "bash", "-c",
                          "for f in /proc/$$/fd/*; do [ $(readlink $f) = " + (dir / ".grex-lock") +
                              " ] && flock -u ${f##*/}; done; echo ready; read line"}));
  CHECK(tool.line() == "ready");
  const Fd other = lock_as_grex(dir / ".grex-lock");
  write_file(dir / ".grex-lock", "another's record");
  tool.close_input();
  tool.wait();
  CHECK(content_of(dir / ".grex-lock") == "another's record");
}

TEST_CASE("notes without a reader change neither the command nor its status") {
  const TempDir dir;
  Process tool(grex_lock({"run", "-v", dir.path(), "--", "sh", "-c", "echo; read line; exit 3"}), {.before_exec = [] {
                 int ends[2];
                 if (::pipe(ends) != 0) ::_exit(2);
                 ::dup2(ends[1], 2);
                 ::close(ends[0]);
                 ::close(ends[1]);
               }});
  tool.line();
  tool.close_input();
  CHECK(tool.wait() == exited(3));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
}
