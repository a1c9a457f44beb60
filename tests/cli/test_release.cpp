#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// A `hold` that has taken its locks.
class Hold : public Process {
 public:
  explicit Hold(std::initializer_list<std::string> words, const Setup& setup = {}) : Process(line_of(words), setup) {
    line();
  }

 private:
  static Words line_of(std::initializer_list<std::string> words) {
    Words line = grex_lock({"hold"});
    line.insert(line.end(), words);
    return line;
  }
};

void check_refused(const Finished& finished, const std::string& why) {
  CAPTURE(finished.err);
  CHECK(finished.ended == exited(69));
  CHECK(finished.err.starts_with("grex-lock: not released: "));
  CHECK(finished.err.find(why) != std::string::npos);
}

// A Python that runs the script `hold` of the directory, and looks like `grex-lock hold`.
Words disguised_python(const TempDir& dir) {
  const std::string program = dir / "grex-lock";
  const std::string real =
      finish({"python3", "-c", "import os, sys; print(os.path.realpath(sys.executable), end='')"}).out;
  REQUIRE(finish({"cp", "--", real, program}).ended == exited(0));
  const std::string home = finish({"python3", "-c", "import sys; print(sys.base_prefix, end='')"}).out;
  return {"env", "PYTHONHOME=" + home, program, "hold"};
}

// Changes the record in a lock file.
void change_record(const std::string& path, const std::function<void(json&)>& change) {
  json record = json::parse(content_of(path));
  change(record);
  write_file(path, record.dump() + "\n");
}

}  // namespace

TEST_CASE("release ends the hold, and the lock is free when it returns") {
  const TempDir dir;
  const std::string b = dir.make("b");
  Hold hold({dir.path(), b});
  const Finished finished = run_tool({"release", dir.path()});
  CHECK(finished.ended == exited(0));
  CHECK(finished.out.empty());
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  CHECK_FALSE(is_locked(b + "/.grex-lock"));  // and so is its other one
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("a CI job's steps: held by the first, released by the last") {
  const TempDir dir;
  const Finished script = finish(bash("set -e; \"$LOCK\" hold --detach --for 1h . >/dev/null\n"
                                      "s=0; bash -c '\"$LOCK\" probe .' || s=$?; [ $s = 75 ]\n"
                                      "\"$LOCK\" release .; \"$LOCK\" probe ."),
                                 in(dir.path()));
  CAPTURE(script.err);
  CHECK(script.ended == exited(0));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  until([] { return ::waitpid(-1, nullptr, WNOHANG) != 0; });
}

TEST_CASE("the last step of a CI job whose hold ran out does not end the hold of the job that took the lock next") {
  const TempDir dir;
  const Finished first = run_tool({"hold", "--detach", "--for", "1ms", "--export=env", "."}, in(dir.path()));
  const std::string name = "GREX_LOCK_STACK=";
  REQUIRE(first.out.starts_with(name));
  const std::string stack = first.out.substr(name.size(), first.out.size() - name.size() - 1);
  const std::string pid = json::parse(stack)[0]["pid"].dump();
  reap(std::stoi(pid));
  Setup last_step = in(dir.path());
  last_step.environment["GREX_LOCK_STACK"] = stack;
  // While no process holds it, that is what the error says.
  check_refused(run_tool({"release", "."}, last_step), ": no process holds it\n");

  Hold next({dir.path()});
  const Finished refused = run_tool({"release", "."}, last_step);
  CHECK(refused.ended == exited(69));
  CHECK(refused.err == "grex-lock: not released: " + dir / ".grex-lock" + ": pid " + pid +
                           " (from GREX_LOCK_STACK) no longer holds it\n" +
                           "grex-lock: to end another hold, use --pid PID\n");
  const json error = json::parse(run_tool({"release", "--json", "."}, last_step).out);
  CHECK(error["error"]["kind"] == "not-held");
  CHECK(error["error"]["path"] == dir / ".grex-lock");
  CHECK(error["exit_code"] == 69);
  CHECK(run_tool({"release", "--if-held", "."}, last_step).ended == exited(0));

  // The next hold has got the number of the one that ran out.
  json entry = json::parse(stack);
  for (json& file : entry) {
    file["pid"] = next.pid();
    file["taken"] = file["taken"].get<std::int64_t>() - 1'000'000'000;  // the kernel counts starts in ticks
  }
  last_step.environment["GREX_LOCK_STACK"] = entry.dump();
  check_refused(run_tool({"release", "."}, last_step), " (from GREX_LOCK_STACK) no longer holds it\n");
  CHECK(is_locked(dir / ".grex-lock"));
  next.signal(SIGTERM);
  CHECK(next.wait() == exited(0));
}

TEST_CASE("release --json names the process that it ended") {
  const TempDir dir;
  Hold hold({"-t", "workspace-sync", dir.path()});
  const json document = json::parse(run_tool({"release", "--json", "-t", "workspace-sync", dir.path()}).out);
  CHECK(document["verb"] == "release");
  CHECK(document["pid"] == hold.pid());
  CHECK(document["tier"] == "workspace-sync");
  CHECK(document["path"] == dir / ".grex.sync.lock");
}

TEST_CASE("a stopped hold is ended, too") {
  const TempDir dir;
  Hold hold({dir.path()});
  hold.signal(SIGSTOP);
  until([&hold] { return state_of(hold.pid()) == 'T'; });
  CHECK(run_tool({"release", dir.path()}).ended == exited(0));
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("a lock that is free or was never created is not released") {
  const TempDir dir;
  check_refused(run_tool({"release", dir.path()}), ": no process holds it\n");
  CHECK_FALSE(exists(dir / ".grex-lock"));
  write_file(dir / ".grex-lock", "");
  check_refused(run_tool({"release", dir.path()}), ": no process holds it\n");
  const json document = json::parse(run_tool({"release", "--json", dir.path()}).out);
  CHECK(document["error"]["kind"] == "not-held");
  CHECK(document["exit_code"] == 69);
}

TEST_CASE("a lock held by other means is not released, and its holder and means are named") {
  const TempDir dir;
  {
    Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo ready; read line; exit 0"}));
    run.line();
    const Finished refused = run_tool({"release", dir.path()});
    check_refused(refused, "held by 'grex-lock run' pid " + std::to_string(run.pid()));
    CHECK(refused.err.ends_with("to end it: kill " + std::to_string(run.pid()) + "\n"));
    run.close_input();
    CHECK(run.wait() == exited(0));
  }
  {
    Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo $$; read line; exit 0"}));
    const std::string command = run.line();
    run.signal(SIGKILL);
    run.wait();
    const Finished refused = run_tool({"release", dir.path()});
    check_refused(refused, "held by the command of a 'grex-lock run': pid " + command);
    CHECK(refused.err.ends_with("to end it: kill " + command + "\n"));
    run.close_input();
    until([&] { return !is_locked(dir / ".grex-lock"); });
  }
  for (const std::size_t children : {std::size_t{2}, std::size_t{9}}) {
    CAPTURE(children);
    const std::string start =
        "for i in $(seq " + std::to_string(children) + "); do tail -f /dev/null & all=\"$all $!\"; echo $!; done; ";
    Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo $$; " + start + "echo; read line; kill $all"}));
    std::vector<std::string> pids;
    for (std::string pid = run.line(); !pid.empty(); pid = run.line()) pids.push_back(pid);
    REQUIRE(pids.size() == children + 1);
    run.signal(SIGKILL);
    run.wait();
    const std::string err = run_tool({"release", dir.path()}).err;
    const std::string start_of_hint = children == 2 ? "to end them: kill" : "to end them (and 2 more): kill";
    const auto hint = err.rfind(start_of_hint);
    REQUIRE(hint != std::string::npos);
    std::string rest = err.substr(hint + start_of_hint.size());
    rest.back() = ' ';  // instead of the newline
    CHECK(std::count(rest.begin(), rest.end(), ' ') == (children == 2 ? 4 : 9));
    for (const std::string& pid : pids) {
      CAPTURE(pid);
      if (children == 2) CHECK(rest.find(" " + pid + " ") != std::string::npos);
    }
    run.close_input();
    until([&] { return !is_locked(dir / ".grex-lock"); });
  }
  {
    const Fd lock = lock_as_grex(dir / ".grex-lock");
    check_refused(run_tool({"release", dir.path()}),
                  "held by a process that is not a 'grex-lock hold': pid " + std::to_string(::getpid()));
  }
  const Finished script =
      finish(bash("exec 9>>.grex-lock; \"$LOCK\" fd 9; \"$LOCK\" release .; echo $?"), in(dir.path()));
  CHECK(script.out == "69\n");
  CHECK(script.err.find("held by 'grex-lock fd' pid ") != std::string::npos);
}

TEST_CASE("a shared hold, one without a record, and one with a wrong record are ended, too") {
  const FlatLayout one_file;
  const TempDir dir;
  for (const char* const option : {"--shared", "--no-record", "--exclusive"}) {
    CAPTURE(option);
    Hold hold({option, dir.path()});
    if (option == std::string("--exclusive")) {
      change_record(dir / ".grex-lock", [](json& record) { record["start_time"] = 1; });
    }
    CHECK(run_tool({"release", dir.path()}).ended == exited(0));
    CHECK(hold.wait() == exited(0));
  }
}

// SECURITY.md: write the id of another process, so that `release` ends it | a record is not a reason: the kernel's
// list, the process's descriptors, program, command line and user must agree, of one pidfd
TEST_CASE("release signals no process if the record names another") {
  const FlatLayout one_file;
  const TempDir dir;
  Process bystander(signal_reporter(0));
  bystander.line();
  Hold other({dir.make("other")});
  const std::string other_record = content_of(dir / "other/.grex-lock");

  // Another process holds the lock, but the record is that of an existing hold.
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  write_file(dir / ".grex-lock", other_record);
  check_refused(run_tool({"release", dir.path()}), "pid " + std::to_string(::getpid()));
  change_record(dir / ".grex-lock", [&bystander](json& record) { record["pid"] = bystander.pid(); });
  check_refused(run_tool({"release", dir.path()}), "pid " + std::to_string(::getpid()));

  bystander.write("still here\n");
  CHECK(bystander.line() == "still here");  // it got no signal before
  CHECK(is_locked(dir / "other/.grex-lock"));
  other.signal(SIGTERM);
  CHECK(other.wait() == exited(0));
}

TEST_CASE("release of another script's hold warns that the script may go on without the lock") {
  const TempDir dir;
  const std::string hold = "\"$LOCK\" hold --detach --while-pid $$ . || exit; ";
  Process script(bash(hold + "read line; \"$LOCK\" hold --detach --while-pid $$ . && \"$LOCK\" release ."),
                 in(dir.path()));
  const auto hold_in = [&script] { return std::stoi(script.line().substr(sizeof "pid")); };
  const pid_t first = hold_in();
  const std::string pid = std::to_string(script.pid());
  const std::string shown = run_tool({"status", dir.path()}).out;
  CHECK(shown.find("to end it: kill " + pid + " ('grex-lock release' would leave that running without") !=
        std::string::npos);
  const Finished released = run_tool({"release", dir.path()});
  CHECK(released.ended == exited(0));
  CHECK(released.err.starts_with("grex-lock: warning: pid " + pid + " (bash -c "));
  CHECK(released.err.ends_with(") may go on without the lock\n"));
  script.write("\n");  // its own release needs no warning
  const pid_t second = hold_in();
  CHECK(script.error_rest().empty());
  CHECK(script.wait() == exited(0));
  reap(first);
  reap(second);
}

TEST_CASE("the line that ends a job whose command ignores SIGTERM has a SIGKILL for the command") {
  const TempDir dir;
  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "trap '' TERM; echo $$; read line"}));
  const std::string command = run.line();
  const std::string pid = std::to_string(run.pid());
  CHECK(run_tool({"release", dir.path()})
            .err.ends_with("to end it: kill " + pid + "; kill -9 " + command + " (SIGTERM is ignored)\n"));
  run.close_input();
  run.wait();
}

// SECURITY.md: have status name a process to be ended | what the record says of the hold's --while-pid is not used
TEST_CASE("a record does not choose the process that status says to end") {
  const TempDir dir;
  Hold hold({dir.path()});
  change_record(dir / ".grex/.grex-lock", [](json& record) { record["while_pid"] = 1; });
  const std::string shown = run_tool({"status", dir.path()}).out;
  CHECK(shown.find("  grex-lock hold\n") != std::string::npos);
  CHECK(shown.find("kill") == std::string::npos);
}

TEST_CASE("a process that is stopped is named as such, and the line that ends it continues it") {
  const TempDir dir;
  Process job({"flock", "-F", dir / ".grex-lock", "sh", "-c", "echo; read line"});
  job.line();
  job.signal(SIGSTOP);
  until([&job] { return state_of(job.pid()) == 'T'; });
  for (const char* const command : {"release", "probe"}) {
    const std::string err = run_tool({command, dir.path()}).err;
    CAPTURE(err);
    CHECK(err.find(" (stopped)") != std::string::npos);
  }
  job.signal(SIGCONT);

  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  job.write("\n");
  run.line();
  run.signal(SIGSTOP);
  until([&run] { return state_of(run.pid()) == 'T'; });
  const std::string pid = std::to_string(run.pid());
  CHECK(run_tool({"release", dir.path()}).err.ends_with("to end it: kill " + pid + "; kill -CONT " + pid + "\n"));
  run.signal(SIGCONT);
  run.write("\n");
  CHECK(run.wait() == exited(0));
}

TEST_CASE("release does not say of a hold whose command can't be read that it is none") {
  if (finish({"strace", "-o", "/dev/null", "true"}).ended != exited(0)) return skip("strace may not trace here");
  const TempDir dir;
  Hold hold({dir.path()});
  const std::string command = "/proc/" + std::to_string(hold.pid()) + "/cmdline";
  Words words = {"strace", "-f", "-o", "/dev/null", "-P", command, "-e", "inject=pread64:error=EIO"};
  for (const std::string& word : grex_lock({"release", dir.path()})) words.push_back(word);
  // LeakSanitizer would need ptrace(2), too.
  const Finished refused = finish(words, {.environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
  check_refused(refused, "held by a process that could not be verified: pid ");
  CHECK(is_locked(dir / ".grex-lock"));
}

TEST_CASE("release signals no process whose number the kernel lists if it doesn't have the lock open") {
  const FlatLayout one_file;
  const TempDir dir;
  // It took the lock and left it to another: the same as one that got the number later.
  // Its program and its command say that it is a hold, and so does the record.
  write_file(dir / "hold",
             "import fcntl, os, subprocess\n"
             "f = os.open('.grex-lock', os.O_RDWR | os.O_CREAT)\n"
             "os.set_inheritable(f, True)\n"
             "fcntl.flock(f, fcntl.LOCK_EX)\n"
             "child = subprocess.Popen(['cat'], close_fds=False, stdin=subprocess.PIPE)\n"
             "os.close(f)\n"
             "print(flush=True)\n"
             "input()\n");
  Process left(disguised_python(dir), in(dir.path()));
  left.line();
  Hold real({dir.make("other")});
  write_file(dir / ".grex-lock", content_of(dir / "other/.grex-lock"));
  change_record(dir / ".grex-lock", [&left](json& record) {
    record["pid"] = left.pid();
    record["start_time"] = start_time_of(left.pid());
  });
  check_refused(run_tool({"release", dir.path()}), "held by a process that could not be verified: pid ");
  left.write("\n");
  CHECK(left.wait() == exited(0));
}

TEST_CASE("a hold that does not end when told to is given ten seconds") {
  const TempDir dir;
  // Takes those ten seconds: what is tested is that they pass.
  write_file(dir / "hold",
             "import fcntl, signal\n"
             "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
             "f = open('.grex-lock', 'w')\n"
             "fcntl.flock(f, fcntl.LOCK_EX)\n"
             "print(flush=True)\n"
             "input()\n");
  Process hold(disguised_python(dir), in(dir.path()));
  hold.line();
  Process interrupted(grex_lock({"release", dir.path()}));
  const Finished finished = run_tool({"release", "--json", dir.path()});
  CHECK(finished.ended == exited(75));
  const json error = json::parse(finished.out)["error"];
  CHECK(error["kind"] == "timeout");
  CHECK(error["message"].get<std::string>().find("asked to end, but still there") != std::string::npos);
  CHECK(is_locked(dir / ".grex-lock"));
  CHECK(interrupted.wait() == exited(75));
  Process second(grex_lock({"release", dir.path()}));
  until([&second] { return state_of(second.pid()) == 'S'; });
  second.signal(SIGINT);
  CHECK(second.wait() == killed_by(SIGINT));
  hold.write("\n");
  CHECK(hold.wait() == exited(0));
}

// SECURITY.md: write the id of another process, so that `release` ends it | a record is not a reason: the kernel's
// list, the process's descriptors, program, command line and user must agree, of one pidfd
TEST_CASE("a run whose record calls it a hold is not ended by release") {
  const FlatLayout one_file;
  const TempDir dir;
  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo ready; read line; exit 0"}));
  run.line();
  change_record(dir / ".grex-lock", [](json& record) { record["verb"] = "hold"; });
  CHECK(run_tool({"release", dir.path()}).ended == exited(69));
  run.close_input();
  CHECK(run.wait() == exited(0));
}

// SECURITY.md: write the id of another process, so that `release` ends it | a record is not a reason: the kernel's
// list, the process's descriptors, program, command line and user must agree, of one pidfd
TEST_CASE("another program that holds the lock is not ended by release, whatever the record says") {
  const TempDir dir;
  Hold hold({dir.path()});
  const std::string record = content_of(dir / ".grex/.grex-lock");
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(0));
  Process other({"flock", dir / ".grex-lock", "sh", "-c", "echo ready; read line; exit 0"});
  other.line();
  write_file(dir / ".grex-lock", record);
  change_record(dir / ".grex-lock", [&other](json& forged) {
    forged["pid"] = other.pid();
    forged["start_time"] = start_time_of(other.pid());
  });
  CHECK(run_tool({"release", dir.path()}).ended == exited(69));
  other.close_input();
  CHECK(other.wait() == exited(0));
}

TEST_CASE("a hold whose lock file has a second name is not released: it may be another pack's") {
  const TempDir dir;
  const std::string victim = dir.make("victim");
  Hold hold({victim});
  REQUIRE(::link((victim + "/.grex-lock").c_str(), (dir.make("pack") + "/.grex-lock").c_str()) == 0);
  const Finished refused = run_tool({"release", dir / "pack"});
  CAPTURE(refused.err);
  CHECK(refused.ended == exited(77));
  CHECK(refused.err.starts_with("grex-lock: not released: " + dir / "pack/.grex-lock: has a second hard link"));
  CHECK(refused.err.ends_with("grex-lock: to end the hold: kill " + std::to_string(hold.pid()) + "\n"));
  CHECK(is_locked(victim + "/.grex-lock"));
  ::unlink((dir / "pack/.grex-lock").c_str());
  CHECK(run_tool({"release", victim}).ended == exited(0));
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("a hold is found by its command, wherever the global options are, and after its program was replaced") {
  const TempDir dir;
  const std::string program = dir / "grex-lock";
  REQUIRE(finish({"cp", "--", grex_lock(), program}).ended == exited(0));
  Process hold({program, "--color", "never", "--layout=flat", "hold", dir.path()});
  hold.line();
  REQUIRE(::unlink(program.c_str()) == 0);
  CHECK(run_tool({"release", dir.path()}).ended == exited(0));
  CHECK(hold.wait() == exited(0));
  // A value of an option is not the command.
  Process run(
      {grex_lock(), "--color", "auto", "run", "--note", "hold", dir.path(), "--", "sh", "-c", "echo; read line"});
  run.line();
  CHECK(run_tool({"release", dir.path()}).ended == exited(69));
}

// SECURITY.md: end another user's hold with `release` | refused, 69; only root can
TEST_CASE("another user's hold is not released") {
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  const auto become = [](unsigned id) {
    return Setup{.before_exec = [id] {
      if (::setgid(id) != 0 || ::setuid(id) != 0) ::_exit(2);
    }};
  };
  Hold hold({dir.path()}, become(65534));
  const Finished refused = run_tool({"release", "--json", dir.path()}, become(65533));
  CHECK(refused.ended == exited(69));
  const json error = json::parse(refused.out)["error"];
  CHECK(error["kind"] == "permission");
  CHECK(error["message"] == "not released: hold pid " + std::to_string(hold.pid()) + " belongs to nobody");
  CHECK(is_locked(dir / ".grex-lock"));
  CHECK(run_tool({"release", dir.path()}, become(65534)).ended == exited(0));
  CHECK(hold.wait() == exited(0));

  Hold second({dir.path()}, become(65534));
  CHECK(run_tool({"release", dir.path()}).ended == exited(0));  // root may
}

TEST_CASE("a hold that the kernel doesn't let us end is named, with its lock") {
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  Hold hold({dir.path()}, as_nobody());
  // Root without this capability can see what the process has open, but can't signal it.
  const auto without_kill = [&dir](const char* option) {
    Words words = {"setpriv", "--bounding-set=-kill", "--inh-caps=-kill"};
    for (const std::string& word : grex_lock({"release", option, dir.path()})) words.push_back(word);
    return finish(words);
  };
  const std::string pid = std::to_string(hold.pid());
  const Finished refused = without_kill("--color=never");
  CHECK(refused.ended == exited(77));
  CHECK(refused.err == "grex-lock: not released: " + dir / ".grex-lock" + ": no permission to signal hold pid " + pid +
                           "\ngrex-lock: to end it as its user: kill " + pid + "\n");
  const json document = json::parse(without_kill("--json").out);
  CHECK(document["error"]["kind"] == "permission");
  CHECK(document["error"]["path"] == dir / ".grex-lock");
  CHECK(document["error"]["errno"] == "EPERM");
  CHECK(document["exit_code"] == 77);
  CHECK(is_locked(dir / ".grex-lock"));
}

// SECURITY.md: write the id of another process, so that `release` ends it | a record is not a reason: the kernel's
// list, the process's descriptors, program, command line and user must agree, of one pidfd
TEST_CASE("release signals no process if its PID means another one in the mounted /proc") {
  if (::geteuid() != 0) return skip("only root can choose the next process's number");
  const TempDir dir;
  Hold hold({dir.path()});
  // A PID namespace with the outer one's /proc: the holder's PID there is another process's here.
  // (LeakSanitizer looks up its own process in /proc, and would find the wrong one.)
  const std::string pid = std::to_string(hold.pid());
  const Finished finished =
      finish({"unshare", "--pid", "--fork", "--kill-child", "bash", "-c",
              "export ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0; mkfifo end; echo " + std::to_string(hold.pid() - 1) +
                  " >/proc/sys/kernel/ns_last_pid; read -r line <end & [ $! = " + pid +
                  " ] || exit 9; \"$LOCK\" release .; echo $?; kill -0 $! && echo alive; echo >end; wait"},
             in(dir.path()));
  CAPTURE(finished.err);
  CHECK(finished.out == "69\nalive\n");
  CHECK(finished.err.find("held by a process that could not be verified: pid ") != std::string::npos);
  CHECK(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a lock that can't be inspected is not called unheld") {
  if (!can_become_others()) return;
  const TempDir dir;  // only its owner may search it
  Hold hold({dir.path()});
  Hold slot({"-t", "semaphore", "--slots", "2", dir.path()});
  const Setup other = {.before_exec = [] {
    if (::setgid(65533) != 0 || ::setuid(65533) != 0) ::_exit(2);
  }};
  for (const char* const tier : {"per-pack", "semaphore"}) {
    CAPTURE(tier);
    const Finished refused = run_tool({"release", "-t", tier, dir.path()}, other);
    check_refused(refused, "not visible from here");
    CHECK(refused.err.find("no process") == std::string::npos);
    CHECK(refused.err.find("which may be a 'grex-lock hold'") != std::string::npos);
  }
}

TEST_CASE("release ends the only hold of slots, but picks none of several") {
  const TempDir dir;
  Hold first({"-t", "semaphore", "--slots", "4", dir.path()});
  Hold second({"-t", "semaphore", "--slots", "4", dir.path()});
  check_refused(run_tool({"release", "-t", "semaphore", dir.path()}),
                "several holds: pids " + std::to_string(first.pid()) + ", " + std::to_string(second.pid()) +
                    "\ngrex-lock: use --pid PID or --all\n");
  first.signal(SIGTERM);
  CHECK(first.wait() == exited(0));
  CHECK(run_tool({"release", "-t", "semaphore", dir.path()}).ended == exited(0));
  CHECK(second.wait() == exited(0));
}

TEST_CASE("release needs one path that exists") {
  const TempDir dir;
  CHECK(run_tool({"release", dir / "none"}).ended == exited(66));
  CHECK(run_tool({"release"}, {.directory = dir.path()}).ended == exited(64));
  CHECK(run_tool({"release", dir.path(), dir.path()}).ended == exited(64));
}
