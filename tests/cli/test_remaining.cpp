// What a command that was killed, or asked to end, leaves running.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// A pack with the script work.sh, which prints its PID and works until its input ends.
class Pack : public TempDir {
 public:
  Pack() {
    ::chmod(path().c_str(), 0777);
    write_file(*this / "work.sh", "echo $$\nread -r line\nexit 0\n");
  }
  [[nodiscard]] std::string lock() const { return *this / ".grex-lock"; }

  /// Starts grex-lock with these words in the pack.
  [[nodiscard]] Process start(std::initializer_list<std::string> words) const {
    return Process(grex_lock(words), in(path()));
  }
};

// A shell in which the command `work` runs work.sh in the background.
std::string with_work(const std::string& script) { return "exec 3<&0; work() { sh work.sh <&3 & }; " + script; }

std::string line_about(const std::string& paths, const std::string& processes) {
  return "grex-lock: still locked: " + paths + ": CMD left processes running: " + processes;
}

// Waits until a process that starts now is later than this one: start times are counted in
// hundredths of a second.
void until_others_start_later(pid_t pid) {
  until([pid] {
    const Process later({"cat"});
    return start_time_of(later.pid()) > start_time_of(pid);
  });
}

// Ends the remaining work, and waits until it is gone.
void end_work(Process& tool, pid_t work) {
  tool.close_input();
  reap(work);
}

}  // namespace

TEST_CASE("if a signal kills the command's shell, the lock lasts until the work below it ends") {
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR1}) {
    CAPTURE(signal);
    const Pack pack;
    Process tool = pack.start({"run", ".", "--", "sh", "-c", "sh work.sh && true"});
    const std::string work = tool.line();
    tool.signal(signal);
    CHECK(tool.wait() == exited(128 + signal));
    CHECK(tool.error_line() == line_about(pack.lock(), "pid " + work + " (sh work.sh)"));
    const Finished busy = run_tool({"run", "-n", pack.path(), "--", "true"});
    CHECK(busy.ended == exited(75));
    CHECK(busy.err.find("held by pid " + work) != std::string::npos);
    Process next(grex_lock({"run", pack.path(), "--", "true"}));
    until([&pack] { return waiters_on(pack.lock()) == 1; });
    end_work(tool, std::stoi(work));
    CHECK(next.wait() == exited(0));
    CHECK_FALSE(is_locked(pack.lock()));
  }
}

TEST_CASE("a command that dies of a signal which grex-lock never saw leaves its lock, too") {
  const Pack pack;
  Process tool = pack.start({"run", ".", "--", "sh", "-c", "echo $$; sh work.sh && true"});
  const pid_t command = std::stoi(tool.line());
  const std::string work = tool.line();
  ::kill(command, SIGKILL);
  CHECK(tool.wait() == exited(128 + SIGKILL));
  CHECK(tool.error_line() == line_about(pack.lock(), "pid " + work + " (sh work.sh)"));
  CHECK(is_locked(pack.lock()));
  end_work(tool, std::stoi(work));
  CHECK_FALSE(is_locked(pack.lock()));
}

TEST_CASE("the record stays valid while remaining processes have the lock") {
  const Pack pack;
  Process tool = pack.start({"run", "--note", "nightly", ".", "--", "sh", "-c", "sh work.sh && true"});
  const pid_t work = std::stoi(tool.line());
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(run_tool({"status", pack.path()}).out.find("nightly") != std::string::npos);
  end_work(tool, work);
}

TEST_CASE("what xargs runs keeps the lock if xargs is killed") {
  const Pack pack;
  write_file(pack / "list", "one\n");
  Process tool = pack.start({"run", ".", "--", "xargs", "-a", "list", "sh", "work.sh"});
  const std::string work = tool.line();
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(tool.error_line() == line_about(pack.lock(), "pid " + work + " (sh work.sh one)"));
  CHECK(is_locked(pack.lock()));
  end_work(tool, std::stoi(work));
}

TEST_CASE("a command that handles the forwarded signal and ends before its children leaves the lock to them") {
  for (const std::string code : {"143", "0"}) {
    CAPTURE(code);
    const Pack pack;
    const std::string script = with_work("trap 'exit " + code + "' TERM; work; wait");
    Process tool = pack.start({"run", ".", "--", "sh", "-c", script});
    const std::string work = tool.line();
    tool.signal(SIGTERM);
    CHECK(tool.wait() == exited(std::stoi(code)));
    CHECK(tool.error_line() == line_about(pack.lock(), "pid " + work + " (sh work.sh)"));
    CHECK(is_locked(pack.lock()));
    end_work(tool, std::stoi(work));
    CHECK_FALSE(is_locked(pack.lock()));
  }
}

TEST_CASE("a command that ends its children at the signal unlocks as always") {
  const Pack pack;
  const std::string script = with_work("trap 'kill $!; wait; exit 0' TERM; work; wait");
  Process tool = pack.start({"run", ".", "--", "sh", "-c", script});
  tool.line();
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(0));
  CHECK_FALSE(is_locked(pack.lock()));
  CHECK(tool.error_rest().empty());
  CHECK(content_of(pack.lock()).empty());
}

TEST_CASE("a command that ends by itself unlocks, whatever it leaves running") {
  const Pack pack;
  finish({"mkfifo", pack / "go"});
  Process tool = pack.start({"run", ".", "--", "sh", "-c", with_work("work; read -r line <go; exit 3")});
  const pid_t work = std::stoi(tool.line());
  write_file(pack / "go", "\n");
  CHECK(tool.wait() == exited(3));
  CHECK(process_exists(work));
  CHECK_FALSE(is_locked(pack.lock()));
  end_work(tool, work);
  CHECK(tool.error_rest().empty());
}

TEST_CASE("processes that the same signal ends a little later than the command do not keep the lock") {
  // This needs time to pass: the children end 10 ms after the command. On a busy machine
  // that may become more than grex-lock allows, so it is tried again.
  until([] {
    const Pack pack;
    const std::string child = "trap 'sleep 0.01; exit' TERM; echo ready; while :; do read -r line; done";
    Process tool = pack.start({"run", ".", "--", "sh", "-c", "exec 3<&0; sh -c \"" + child + "\" <&3 & wait"});
    CHECK(tool.line() == "ready");
    ::kill(-tool.pid(), SIGTERM);
    CHECK(tool.wait() == exited(128 + SIGTERM));
    return tool.error_rest().empty() && content_of(pack.lock()).empty();
  });
}

TEST_CASE("others that share the lock, but did not inherit it, do not keep it") {
  const Pack pack;
  Process sharer = pack.start({"run", "-s", ".", "--", "sh", "work.sh"});
  sharer.line();
  Process tool = pack.start({"run", "-s", ".", "--", "sh", "-c", "setsid sh work.sh <&0 & kill -9 $$"});
  const pid_t daemon = std::stoi(tool.line());
  CHECK(tool.wait() == exited(128 + SIGKILL));
  CHECK(tool.error_rest().empty());
  sharer.close_input();
  CHECK(sharer.wait() == exited(0));
  CHECK_FALSE(is_locked(pack.lock()));  // the daemon does not pin it
  end_work(tool, daemon);
}

TEST_CASE("a daemon in a session of its own does not keep the lock of a killed command") {
  const Pack pack;
  const std::string script = "exec 3<&0; setsid sh work.sh <&3 2>/dev/null & wait";
  Process tool = pack.start({"run", ".", "--", "sh", "-c", script});
  const pid_t daemon = std::stoi(tool.line());
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(process_exists(daemon));
  CHECK_FALSE(is_locked(pack.lock()));
  CHECK(tool.error_rest().empty());
  end_work(tool, daemon);
}

TEST_CASE("processes count by the command's session, even if it is not grex-lock's") {
  const Pack pack;
  Process tool = pack.start({"run", ".", "--", "setsid", "sh", "-c", "sh work.sh && true"});
  const std::string work = tool.line();
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(tool.error_line() == line_about(pack.lock(), "pid " + work + " (sh work.sh)"));
  end_work(tool, std::stoi(work));
}

TEST_CASE("neither a zombie nor a process that has closed the lock counts") {
  const Pack pack;
  // The shell closes the lock, and becomes a process that never reaps its child.
  write_file(pack / "below.sh",
             "for n in /proc/$$/fd/*; do case $(readlink $n) in *.grex-lock) eval \"exec ${n##*/}>&-\" ;; esac; done; "
             "mkfifo end; (read -r line <end) & echo $$ $!; exec cat <&3 2>/dev/null");
  Process tool = pack.start({"run", ".", "--", "sh", "-c", "exec 3<&0; bash below.sh & wait"});
  const std::string pids = tool.line();
  const pid_t cat = std::stoi(pids);
  const pid_t zombie = std::stoi(pids.substr(pids.find(' ')));
  until([cat] { return content_of("/proc/" + std::to_string(cat) + "/comm") == "cat\n"; });
  write_file(pack / "end", "\n");
  until([zombie] { return state_of(zombie) == 'Z'; });
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(process_exists(cat));
  CHECK_FALSE(is_locked(pack.lock()));
  CHECK(tool.error_rest().empty());
  end_work(tool, cat);
}

TEST_CASE("a remaining process that may not be read counts, but none that is older than grex-lock") {
  if (!can_become_others()) return;
  const Pack pack;
  // It becomes root, but keeps the user's session and the lock.
  const std::string become_root = pack / "become_root";
  if (finish({"sh", "-c", "cp $(command -v setpriv) \"$0\" && chmod 4755 \"$0\"", become_root}).ended != exited(0)) {
    return skip("there is no setpriv");
  }
  Setup nobody = as_nobody();
  nobody.directory = pack.path();
  if (finish({become_root, "--reuid=0", "id", "-u"}, nobody).out != "0\n") return skip("no setuid programs here");
  const std::string script = with_work("work() { ./become_root --reuid=0 sh work.sh <&3 & }; work; wait");
  // In a session without other tests, of which root's processes can't be read, either.
  nobody.own_group = false;
  nobody.before_exec = [become = nobody.before_exec] {
    ::setsid();
    become();
  };
  Process tool(grex_lock({"run", ".", "--", "sh", "-c", script}), nobody);
  const std::string work = tool.line();
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(tool.error_line() == "grex-lock: may still be locked: " + pack.lock() +
                                 ": CMD may have left processes running: pid " + work + " (sh work.sh)");
  CHECK(is_locked(pack.lock()));
  end_work(tool, std::stoi(work));

  // Root's shell, the session's leader, and its earlier job can't be read.
  const std::string as_root = "sleep 1000 & echo $!; read -r line; setpriv --reuid=65534 --clear-groups \"$0\" run . " +
                              std::string("-- sh -c 'kill -TERM $$'; echo $?");
  Process session({"setsid", "--wait", "sh", "-c", as_root, grex_lock()}, in(pack.path()));
  const pid_t job = std::stoi(session.line());
  until_others_start_later(job);
  session.write("\n");
  CHECK(session.line() == "143");
  CHECK(process_exists(job));
  CHECK(session.wait() == exited(0));
  reap(job, SIGKILL);
  CHECK(session.error_rest().empty());
}

TEST_CASE("an older process whose descriptors are listed, but can't be read, does not count") {
  if (!can_become_others()) return;
  const Pack pack;
  // Without this capability, root may list them, but not read them.
  const std::string script =
      "sleep 1000 & echo $!; read -r line; setpriv --bounding-set=-sys_ptrace \"$0\" run . -- sh -c 'kill -TERM $$'; "
      "echo $?";
  Process session({"setsid", "--wait", "sh", "-c", script, grex_lock()}, in(pack.path()));
  const pid_t older = std::stoi(session.line());
  until_others_start_later(older);
  session.write("\n");
  CHECK(session.line() == "143");
  CHECK_FALSE(is_locked(pack.lock()));
  CHECK(content_of(pack.lock()).empty());
  CHECK(session.wait() == exited(0));
  reap(older, SIGKILL);
  CHECK(session.error_rest().empty());
}

TEST_CASE("the lock stays if /proc hides the processes of other users, of which one may work on") {
  if (!can_become_others()) return;
  const Pack pack;
  const std::string become_root = pack / "become_root";
  const std::string copy = "cp $(command -v setpriv) \"$0\" && chmod 4755 \"$0\" && setpriv --reuid=65534 \"$0\" true";
  if (finish({"sh", "-c", copy, become_root}).ended != exited(0)) return skip("no setuid programs here");
  const std::string mount = "mount -t proc -o hidepid=invisible proc /proc";
  if (finish({"unshare", "--mount", "--pid", "--fork", "sh", "-c", mount}).ended != exited(0)) {
    return skip("no /proc with hidepid here");
  }
  write_file(pack / "work.sh", "touch started\nread -r line\nexit 0\n");
  // Another user's work, and then the command is killed.
  const std::string command =
      "exec 3<&0; ./become_root --reuid=0 sh work.sh <&3 & "
      "until [ -e started ]; do :; done; kill -KILL $$";
  const std::string as_nobody = "\"$0\" run . -- sh -c \"$1\"; echo $?; read -r line";
  const std::string script = mount + " && exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"$@\"";
  Process tool({"unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh", as_nobody,
                grex_lock(), command},
               in(pack.path()));
  CHECK(tool.line() == "137");
  CHECK(is_locked(pack.lock()));
  CHECK(tool.error_line() ==
        "grex-lock: may still be locked: " + pack.lock() + ": it is not known what processes CMD left running");
  tool.close_input();
  CHECK(tool.wait() == exited(1));
}

TEST_CASE("in a PID namespace with the /proc of another, the remaining processes are the same") {
  const std::string until_started = "until [ -e started ]; do :; done; ";
  for (const std::string session : {"", "setsid "}) {
    CAPTURE(session);
    const Pack pack;
    write_file(pack / "work.sh", "touch started\nread -r line\nexit 0\n");
    // The error output, with a command that starts `work` and kills itself.
    const auto error_of = [&](const std::string& work, bool stays_locked) {
      ::unlink((pack / "started").c_str());
      const std::string script = "\"$0\" run . -- " + session + "sh -c \"$1\"; echo $?; read -r line";
      Process process({"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "sh", "-c", script,
                       grex_lock(), "exec 3<&0; " + work + "kill -KILL $$"},
                      in(pack.path()));
      CHECK(process.line() == "137");  // the exit code
      CHECK(is_locked(pack.lock()) == stays_locked);
      process.close_input();
      process.wait();
      return process.error_rest();
    };
    CHECK(error_of("", false).empty());
    CHECK(error_of("setsid sh work.sh <&3 & " + until_started, false).empty());
    const std::string line = error_of("sh work.sh <&3 & " + until_started, true);
    CHECK(line.starts_with("grex-lock: still locked: "));
    CHECK(line.ends_with(" (sh work.sh)\n"));
    CHECK(line.find(" pid ") == line.rfind(" pid "));
  }
}

TEST_CASE("-q prints no line, and the event names the remaining processes instead of a release") {
  const Pack pack;
  Process tool = pack.start({"run", "-q", "--json-status-fd", "2", ".", "--", "sh", "-c", "sh work.sh && true"});
  const pid_t work = std::stoi(tool.line());
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK(json::parse(tool.error_line())["event"] == "acquired");
  CHECK(json::parse(tool.error_line())["event"] == "started");
  const json event = json::parse(tool.error_line());
  CHECK(event["event"] == "inherited");
  CHECK(event["exit_code"] == 128 + SIGTERM);
  CHECK(event["signal"] == "SIGTERM");
  CHECK(event["held_ms"].is_number_unsigned());
  CHECK(event["locks"][0]["path"] == pack.lock());
  REQUIRE(event["processes"].size() == 1);
  CHECK(event["processes"][0]["pid"] == work);
  CHECK(event["processes"][0]["role"] == "fd-holder");
  CHECK(event["processes"][0]["command"] == Words{"sh", "work.sh"});
  end_work(tool, work);
  CHECK(tool.error_rest().empty());
}

TEST_CASE("the event of a release names the signal that killed the command") {
  const Pack pack;
  const auto last_event = [&pack](const std::string& script) {
    Process tool = pack.start({"run", "-q", "--json-status-fd", "2", ".", "--", "sh", "-c", script});
    tool.error_line();
    tool.error_line();
    return json::parse(tool.error_line());
  };
  const json killed = last_event("kill -KILL $$");
  CHECK(killed["event"] == "released");
  CHECK(killed["signal"] == "SIGKILL");
  CHECK(killed["exit_code"] == 128 + SIGKILL);
  CHECK(last_event("exit 3")["signal"].is_null());
}

TEST_CASE("the remaining processes keep all locks of the command, slots included") {
  const Pack pack;
  Process tool = pack.start({"run", "-t", "semaphore", "--slots", "1", ".", "-l", "per-pack:.", "--", "sh", "-c",
                             with_work("work; work; work; work; work; wait")});
  std::vector<pid_t> works;
  for (int i = 0; i < 5; ++i) works.push_back(std::stoi(tool.line()));
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  const std::string line = tool.error_line();
  CHECK(line.find(pack.lock()) != std::string::npos);
  CHECK(line.find("slot-0.lock") != std::string::npos);
  CHECK(line.ends_with(" (sh work.sh), and 2 more"));
  CHECK(is_locked(pack.lock()));
  CHECK(run_tool({"probe", "-t", "semaphore", "--slots", "1", pack.path()}).ended == exited(75));
  tool.close_input();
  for (const pid_t work : works) reap(work);
  CHECK(run_tool({"probe", "-t", "semaphore", "--slots", "1", pack.path()}).ended == exited(0));
}

TEST_CASE("with --close a killed command leaves no lock") {
  const Pack pack;
  Process tool = pack.start({"run", "--close", ".", "--", "sh", "-c", "sh work.sh && true"});
  const pid_t work = std::stoi(tool.line());
  tool.signal(SIGTERM);
  CHECK(tool.wait() == exited(128 + SIGTERM));
  CHECK_FALSE(is_locked(pack.lock()));
  CHECK(process_exists(work));
  end_work(tool, work);
  CHECK(tool.error_rest().empty());
}

TEST_CASE("a Ctrl-C that kills the command leaves the lock to children that ignore it") {
  const Pack pack;
  write_file(pack / "work.sh", "echo pid=$$.; read -r line <end\n");
  finish({"mkfifo", pack / "end"});
  Terminal terminal({"bash", "--norc", "--noprofile", "-i"}, {.environment = {{"PS1", "@> "}}});
  terminal.expect("@> ");
  terminal.type("cd " + pack.path() + "\r");
  terminal.expect("@> ");
  // In the background of a shell without job control, SIGINT is ignored.
  terminal.type(grex_lock() + " run . -- sh -c 'sh work.sh & wait'\r");
  terminal.expect("pid=");
  const std::string work = terminal.expect(".");
  terminal.type(ctrl_c);
  terminal.expect("still locked");
  terminal.expect("pid " + work);
  terminal.expect("@> ");
  CHECK(is_locked(pack.lock()));
  write_file(pack / "end", "\n");
  until([&pack] { return !is_locked(pack.lock()); });
  reap(std::stoi(work));
}
