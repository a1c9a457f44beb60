// Signals while the command runs.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

Process run_under_lock(const TempDir& dir, const Words& command) {
  Words words = grex_lock({"run", dir.path(), "--"});
  words.insert(words.end(), command.begin(), command.end());
  return Process(words);
}

}  // namespace

TEST_CASE("a signal that is sent to grex-lock reaches the command exactly once") {
  const TempDir dir;
  Process tool = run_under_lock(dir, signal_reporter(9));
  CHECK(tool.line() == "ready");
  const std::pair<int, const char*> signals[] = {{SIGTERM, "TERM"}, {SIGHUP, "HUP"},   {SIGQUIT, "QUIT"},
                                                 {SIGINT, "INT"},   {SIGUSR1, "USR1"}, {SIGUSR2, "USR2"}};
  for (const auto& [signal, name] : signals) {
    tool.signal(signal);
    CHECK(tool.line() == name);
  }
  // A second copy of a signal would come before this answer.
  tool.write("done\n");
  CHECK(tool.line() == "done");
  tool.close_input();
  CHECK(tool.wait() == exited(9));
  CHECK(tool.rest().empty());
}

TEST_CASE("if a signal kills the command, the exit code is 128+N") {
  const TempDir dir;
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGUSR1}) {
    Process tool = run_under_lock(dir, until_input_closes());
    CHECK(tool.line() == "ready");
    tool.signal(signal);
    CHECK(tool.wait() == exited(128 + signal));
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
    CHECK(has_released_record(dir / ".grex/.grex-lock"));
  }
  CHECK(run_tool({"run", dir.path(), "--", "sh", "-c", "kill -KILL $$"}).ended == exited(128 + SIGKILL));
  CHECK(run_tool({"run", dir.path(), "--", "sh", "-c", "kill -SEGV $$"}).ended == exited(128 + SIGSEGV));
}

// SECURITY.md: ignore or block signals | a hold can still be ended; the command gets what grex-lock was given
TEST_CASE("the command starts with the mask and the dispositions that grex-lock was given") {
  const TempDir dir;
  const char* const show = "^Sig(Blk|Ign|Cgt):";
  const Setup odd = {.before_exec = [] {
    ::signal(SIGCHLD, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCONT);
    sigaddset(&set, SIGWINCH);
    ::sigprocmask(SIG_SETMASK, &set, nullptr);
  }};
  for (const Setup& setup : {Setup{}, odd}) {
    const std::string plain = finish({"grep", "-E", show, "/proc/self/status"}, setup).out;
    CHECK(plain.size() > 30);
    CHECK(run_tool({"run", dir.path(), "--", "grep", "-E", show, "/proc/self/status"}, setup).out == plain);
    CHECK(run_tool({"run", "-F", dir.path(), "--", "grep", "-E", show, "/proc/self/status"}, setup).out == plain);
    // Also after a wait, which installs its own handlers.
    Process holder = run_under_lock(dir, until_input_closes());
    CHECK(holder.line() == "ready");
    Process waited(grex_lock({"run", "-w", "60", dir.path(), "--", "grep", "-E", show, "/proc/self/status"}), setup);
    until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
    holder.close_input();
    CHECK(waited.rest() == plain);
    CHECK(waited.wait() == exited(0));
  }
}

TEST_CASE("the command's status is known if SIGCHLD was ignored") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "sh", "-c", "exit 5"}, {.before_exec = [] { ::signal(SIGCHLD, SIG_IGN); }})
            .ended == exited(5));
}

TEST_CASE("after a stop, grex-lock goes on, even if its command has ended") {
  const TempDir dir;
  Process tool = run_under_lock(dir, {"sh", "-c", "echo $$; read line; exit 4"});
  const pid_t command = std::stoi(tool.line());
  tool.signal(SIGSTOP);
  until([&tool] { return state_of(tool.pid()) == 'T'; });
  tool.close_input();
  until([command] { return state_of(command) == 'Z'; });
  CHECK(is_locked(dir / ".grex-lock"));
  tool.signal(SIGCONT);
  CHECK(tool.wait() == exited(4));
}

TEST_CASE("a command stopped and continued without a terminal does not stop grex-lock") {
  const TempDir dir;
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo $$; kill -STOP $$; exit 6"}),
               {.before_exec = [] { ::setsid(); }, .own_group = false});
  const pid_t command = std::stoi(tool.line());
  until([command] { return state_of(command) == 'T'; });
  ::kill(command, SIGCONT);
  CHECK(tool.wait() == exited(6));
  // The kernel discards SIGTSTP there, but not if another process of the session could continue grex-lock.
  Process parent(
      grex_lock({"run", dir.path(), "--", "sh", "-c", "echo $$; echo $PPID; read line; kill -STOP $$; exit 6"}),
      {.before_exec =
           [] {
             ::setsid();
             const pid_t child = ::fork();
             if (child == 0) {
               ::setpgid(0, 0);
               return;
             }
             int status = 0;
             ::waitpid(child, &status, WUNTRACED);
             ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 99);
           },
       .own_group = false});
  const pid_t stopped = std::stoi(parent.line());
  const pid_t waiting = std::stoi(parent.line());
  const auto switch_counts = [waiting] {
    const std::string status = content_of("/proc/" + std::to_string(waiting) + "/status");
    const auto at = status.find("\nvoluntary_ctxt_switches");
    return status.substr(at, status.find('\n', at + 1) - at);
  };
  until([waiting] { return state_of(waiting) == 'S'; });
  const std::string before = switch_counts();
  parent.write("\n");
  // Until grex-lock has noticed the stop, too.
  until([&] {
    const bool has_noticed = state_of(stopped) == 'T' && switch_counts() != before && state_of(waiting) != 'R';
    return has_noticed || state_of(parent.pid()) == 'Z';
  });
  ::kill(stopped, SIGCONT);
  CHECK(parent.wait() == exited(6));
}

TEST_CASE("a signal by which grex-lock is asked to end also ends a command that is stopped") {
  const TempDir dir;
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGQUIT}) {
    Process tool = run_under_lock(dir, {"sh", "-c", "echo $$; read line"});
    const pid_t command = std::stoi(tool.line());
    ::kill(command, SIGSTOP);
    until([command] { return state_of(command) == 'T'; });
    tool.signal(signal);
    CHECK(tool.wait() == exited(128 + signal));
  }
  Process tool = run_under_lock(dir, signal_reporter(5));
  CHECK(tool.line() == "ready");
  const pid_t command = children_of(tool.pid()).at(0);
  ::kill(command, SIGSTOP);
  until([command] { return state_of(command) == 'T'; });
  tool.signal(SIGUSR1);  // not such a signal
  tool.signal(SIGTERM);
  // Both signals are pending at once, so their order is the kernel's.
  CHECK(Words{tool.line(), tool.line()} == Words{"USR1", "TERM"});
  tool.close_input();
  CHECK(tool.wait() == exited(5));
}

TEST_CASE("a signal that may not be sent to the command is reported, and the command runs on") {
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  const std::string become_root = dir / "become_root";
  if (finish({"sh", "-c", "cp $(command -v setpriv) \"$0\" && chmod 4755 \"$0\"", become_root}).ended != exited(0)) {
    return skip("there is no setpriv");
  }
  if (finish({become_root, "--reuid=0", "id", "-u"}, as_nobody()).out != "0\n") return skip("no setuid programs here");
  for (const std::string option : {"-v", "-q"}) {
    Words words = grex_lock({"run", option, dir.path(), "--", become_root, "--reuid=0"});
    for (const std::string& word : signal_reporter(7)) words.push_back(word);
    Process tool(words, as_nobody());
    CHECK(tool.line() == "ready");
    const pid_t command = children_of(tool.pid()).at(0);
    tool.signal(SIGTERM);
    const std::string expected =
        "grex-lock: cannot forward SIGTERM to CMD (pid " + std::to_string(command) + "): Operation not permitted";
    if (option == "-v") {
      until([&] { return tool.error_line() == expected; });  // after "locked"
    }
    tool.close_input();
    CHECK(tool.wait() == exited(7));
    CHECK(tool.rest().empty());
    if (option == "-q") CHECK(tool.error_rest().empty());
  }
}
