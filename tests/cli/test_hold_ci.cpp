// Holds for the steps of a CI job, and holds that end with their input.

#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// The value in the only line of a file of environment variables.
std::string stack_in(const std::string& text) {
  const std::string name = "GREX_LOCK_STACK=";
  REQUIRE(text.starts_with(name));
  REQUIRE(text.find('\n') == text.size() - 1);
  return text.substr(name.size(), text.size() - name.size() - 1);
}

// A detached hold with --export=env; the destructor ends it.
class Exported {
 public:
  explicit Exported(const TempDir& dir, const std::string& path = ".")
      : stack_(stack_in(run_tool({"hold", "--detach", "--export=env", path}, in(dir.path())).out)),
        pid_(json::parse(stack_)[0]["pid"].get<pid_t>()) {}
  ~Exported() { reap(pid_, SIGKILL); }
  Exported(const Exported&) = delete;
  Exported& operator=(const Exported&) = delete;

  [[nodiscard]] Setup below(const TempDir& dir) const {
    Setup setup = in(dir.path());
    setup.environment["GREX_LOCK_STACK"] = stack_;
    return setup;
  }
  [[nodiscard]] const std::string& stack() const { return stack_; }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  std::string stack_;
  pid_t pid_;
};

void check_ended_by_input(Process& hold, const TempDir& dir) {
  CHECK(hold.wait() == exited(128 + SIGTERM));
  CHECK(hold.error_rest().ends_with("grex-lock: cancelled: " + dir.path() + "/.grex-lock: standard input has ended\n"));
  CHECK(waiters_on(dir / ".grex-lock") == 0);
}

// Runs a script as PID 1 of its own PID namespace, with its own /proc.
Words in_namespace(const std::string& script) {
  return {"unshare", "--user", "--map-root-user", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sh",
          "-c",      script};
}

}  // namespace

TEST_CASE("hold --export=env prints one line for a file of environment variables, whatever the path") {
  const TempDir dir;
  const std::string pack = dir.make("a 'b' \"c\" $HOME\nd");
  const Exported hold(dir, pack);
  CHECK(json::parse(hold.stack())[0]["path"] == pack + "/.grex-lock");
  for (const char* const special : {"'", "$", " ", "\n"}) CHECK(hold.stack().find(special) == std::string::npos);
}

TEST_CASE("a later step knows the lock of a hold that was exported with =env") {
  const TempDir dir;
  const Exported hold(dir);
  const auto step = [&](const std::string& command) { return finish(bash("\"$LOCK\" " + command), hold.below(dir)); };
  const Finished same = step("run . -- true");
  CHECK(same.ended == exited(75));
  CHECK(same.err == "grex-lock: busy: " + dir / ".grex-lock" + ": already held by pid " + std::to_string(hold.pid()) +
                        " (from GREX_LOCK_STACK)\ngrex-lock: if this script took the lock, by 'grex-lock hold', run " +
                        "the command without grex-lock\n");
  // The hold is no ancestor, so nothing proves to a step that the lock is still its job's.
  CHECK(step("run --reentrant . -- true").ended == exited(75));
  CHECK(step("run -t workspace-sync . -- true").ended == exited(76));
  CHECK(step("run -t manifest . -- echo ran").out == "ran\n");
  // Both in one command would meet the hold's own lock.
  const std::string lib = dir.make("lib");
  CHECK(step("run lib -- true")
            .err.ends_with("grex-lock: name both where pid " + std::to_string(hold.pid()) +
                           " was started: " + dir.path() + " " + lib + "\n"));
}

TEST_CASE("release --if-held of a wrong PATH says which lock the step holds") {
  const TempDir dir;
  const std::string app = dir.make("app");
  dir.make("ap");
  const Exported hold(dir, app);
  const auto release = [&](const std::string& options) {
    return finish(bash("\"$LOCK\" release --if-held " + options), hold.below(dir));
  };
  const Finished wrong = release("ap");
  CHECK(wrong.ended == exited(0));
  CHECK(wrong.err == "grex-lock: nothing to release: " + dir / "ap/.grex-lock" +
                         "; GREX_LOCK_STACK names the lock of " + app + ", held by pid " + std::to_string(hold.pid()) +
                         "\n");
  CHECK(release("-q ap").err.empty());
  CHECK(release("app").err.empty());
  reap(hold.pid(), SIGTERM);
  CHECK(release("app").err.empty());
  CHECK(release("ap").err.empty());
}

TEST_CASE("fd --export=env prints the same form, and --export=shell the usual one") {
  const TempDir dir;
  const Finished env = finish(bash("exec 9>>.grex-lock; \"$LOCK\" fd -q --export=env 9"), in(dir.path()));
  CHECK(json::parse(stack_in(env.out))[0]["path"] == dir / ".grex-lock");
  const Finished shell = finish(bash("exec 9>>.grex-lock; \"$LOCK\" fd -q --export=shell 9"), in(dir.path()));
  CHECK(shell.out.starts_with("export GREX_LOCK_STACK='["));
  const Finished none = finish(bash("exec 9>>.grex-lock; \"$LOCK\" fd -u --export=env 9"), in(dir.path()));
  CHECK(none.out == "GREX_LOCK_STACK=\n");
}

TEST_CASE("other forms, --export=env without --detach, and with --json are usage errors") {
  const TempDir dir;
  for (const char* const command :
       {"hold --detach --export=dotenv .", "hold --detach --export= .", "hold --export=env .",
        "hold --detach --export=env --json .", "fd --export=x 9 9>>.other", "fd --json --export=env 9 9>>.other"}) {
    CAPTURE(command);
    const Finished refused = finish(bash("\"$LOCK\" " + std::string(command)), in(dir.path()));
    CHECK(refused.ended == exited(64));
    CHECK(refused.out.find("GREX_LOCK_STACK") == std::string::npos);
  }
  CHECK_FALSE(exists(dir / ".grex-lock"));
  CHECK_FALSE(left_children());
}

TEST_CASE(
    "under a hold outside a container, a step inside does not take or pass over its lock, wherever it is mounted") {
  const TempDir dir;
  dir.make("pack");
  dir.make("elsewhere");
  const Exported hold(dir, "pack");
  const std::string tool = grex_lock();
  const auto inside = [&](const std::string& script) {
    return finish(in_namespace("mount --bind pack elsewhere && " + script), hold.below(dir));
  };
  for (const std::string path : {"pack", "elsewhere"}) {
    CAPTURE(path);
    const Finished same = inside(tool + " run " + path + " -- echo ran; echo $?");
    CHECK(same.out == "75\n");
    CHECK(same.err.find("already held by pid ") != std::string::npos);
    CHECK(inside(tool + " run --reentrant " + path + " -- echo ran; echo $?").out == "75\n");
    CHECK(inside(tool + " run -t workspace-sync " + path + " -- echo ran; echo $?").out == "76\n");
    CHECK(inside(tool + " run -t manifest " + path + " -- echo ran; echo $?").out == "ran\n0\n");
  }
  // If the directory is hidden there, its path proves nothing, and is not needed.
  CHECK(inside("mount -t tmpfs none pack; " + tool + " run elsewhere -- echo ran; echo $?").out == "75\n");
}

TEST_CASE("after the hold's end, a step in a container finds the entry stale and takes the lock") {
  const TempDir dir;
  Setup setup;
  {
    const Exported hold(dir);
    setup = hold.below(dir);
  }
  CHECK(finish(in_namespace(grex_lock() + " run . -- echo ran"), setup).out == "ran\n");
}

TEST_CASE("hold --stdin: the end of the input ends the wait for the lock, and data before it does not") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "--stdin", dir.path()}));
  hold.write("not the end\n");
  until([&dir] { return is_waited_for(dir.path()); });
  hold.write("nor this\n");
  // It is read, and the wait goes on.
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(75));
  CHECK(is_waited_for(dir.path()));
  hold.close_input();
  check_ended_by_input(hold, dir);
}

TEST_CASE("a lock that comes while its input lasts is held by hold --stdin until that ends") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "--stdin", dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  lock.reset();
  hold.line();
  hold.write("data\n");
  CHECK(is_locked(dir / ".grex-lock"));
  hold.close_input();
  CHECK(hold.wait() == exited(0));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a waiting hold --stdin uses no processor time") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "-q", "--stdin", dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  // What the files of its threads show, one after the other.
  const auto of_threads = [&hold](const std::string& name) {
    std::string all;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/" + std::to_string(hold.pid()) + "/task")) {
      all += content_of(thread.path() / name);
    }
    return all;
  };
  const auto sleeps = [&of_threads] { return of_threads("status").find("\nState:\tR") == std::string::npos; };
  until(sleeps);
  const auto switches = [&of_threads] {
    std::istringstream lines(of_threads("status"));
    std::string all;
    for (std::string line; std::getline(lines, line);) {
      if (line.find("ctxt_switches") != std::string::npos) all += line + "\n";
    }
    return all;
  };
  const std::string at_first = switches();
  until([&] { return switches() != at_first; });  // looks whether it waits for itself
  until([&dir] { return is_waited_for(dir.path()); });
  until(sleeps);
  const std::string before = switches();
  CHECK(run_tool({"run", "-w", "300ms", dir.path(), "--", "true"}).ended == exited(75));
  CHECK(switches() == before);
}

TEST_CASE(
    "hold --stdin with an input that has ended holds a free lock for a moment, and does not wait for a busy one") {
  for (const std::string input : {"</dev/null", "<&-"}) {
    CAPTURE(input);
    const TempDir dir;
    const Finished free = finish(bash("\"$LOCK\" hold --stdin . " + input), in(dir.path()));
    CHECK(free.ended == exited(0));
    CHECK(free.out.find(" holds ") != std::string::npos);
    const Fd lock = lock_as_grex(dir / ".grex-lock");
    Process busy(bash("exec \"$LOCK\" hold --stdin . " + input), in(dir.path()));
    check_ended_by_input(busy, dir);
  }
}

TEST_CASE("hold --stdin reports an input that can't be read, also while it waits") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  const Finished directory = finish(bash("\"$LOCK\" hold --stdin . <."), in(dir.path()));
  CHECK(directory.ended == exited(74));
  CHECK(directory.err == "grex-lock: I/O error: standard input: Is a directory (read)\n");
}

TEST_CASE("a pipe with another reader, and a terminal, end the wait of hold --stdin at their end only") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  // The other reader takes what it can.
  Process shared(bash("exec 3<&0; cat <&3 >/dev/null & exec \"$LOCK\" hold --stdin . 3<&-"), in(dir.path()));
  until([&dir] { return is_waited_for(dir.path()); });
  for (int i = 0; i < 100; ++i) shared.write("data\n");
  CHECK(is_waited_for(dir.path()));
  shared.close_input();
  check_ended_by_input(shared, dir);

  Terminal terminal(grex_lock({"hold", "--stdin", dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  terminal.type("a line\r");
  terminal.expect("a line");
  CHECK(is_waited_for(dir.path()));
  terminal.type("\x04");
  terminal.expect("standard input has ended");
  CHECK(terminal.wait() == exited(128 + SIGTERM));
}

TEST_CASE("a signal and -q mean for a waiting hold --stdin what they mean for others") {
  const TempDir dir;
  const Stranger stranger(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "--stdin", dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(128 + SIGTERM));
  CHECK(hold.error_rest().ends_with(": SIGTERM ended the wait\n"));
  const Finished quiet = finish(bash("\"$LOCK\" hold -q --stdin . </dev/null"), in(dir.path()));
  CHECK(quiet.ended == exited(128 + SIGTERM));
  CHECK(quiet.err.empty());
  CHECK(run_tool({"hold", "--stdin", "-n", dir.path()}).ended == exited(75));
}

TEST_CASE("the end of the process of --while-pid is named when it ends a wait") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  Process other(until_input_closes());
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(other.pid()), dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  other.close_input();
  CHECK(other.wait() == exited(0));
  CHECK(hold.wait() == exited(128 + SIGTERM));
  CHECK(hold.error_rest().ends_with(": process " + std::to_string(other.pid()) + " has ended\n"));
}
