// grex-lock at a terminal, as a person uses it.

#include "support/terminal.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <memory>

#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

std::string run_line(const TempDir& dir, const std::string& command) {
  return grex_lock() + " run " + dir.path() + " -- " + command;
}

struct Pids {
  pid_t command;
  pid_t tool;
};

// A script for `sh -c`, as a word of a shell. It reports its process and that of grex-lock.
// The echo of the line must not match: readline may draw a long line more than once.
std::string reporting(const std::string& script) { return "sh -c 'echo pi\"\"d=$$ $PPID.; " + script + "'"; }

Pids expect_pids(Terminal& terminal) {
  terminal.expect("pid=");
  const std::string pids = terminal.expect(".");
  return {std::stoi(pids), std::stoi(pids.substr(pids.find(' ')))};
}

// An interactive shell with job control and a prompt that is easy to wait for.
class Shell : public Terminal {
 public:
  Shell() : Terminal({"bash", "--norc", "--noprofile", "-i"}, {.environment = {{"PS1", "@> "}}}) { expect_prompt(); }

  void expect_prompt() { expect("@> "); }

  void type_line(const std::string& line) const { type(line + "\r"); }

  void expect_stop() {
    expect("Stopped");
    expect_prompt();
  }

  // Runs a script under the lock.
  Pids run(const TempDir& dir, const std::string& script) {
    type_line(run_line(dir, reporting(script)));
    return expect_pids(*this);
  }
};

// The prompt of a shell under the lock. The echo of the line that starts it must not match.
const std::string inner_shell = "env PS1='in''ner> ' bash --norc --noprofile -i";

// Types a line that starts `inner_shell`, which is suspended and continued, and then exits.
void check_suspend(Shell& terminal, const TempDir& dir, const std::string& line) {
  CAPTURE(line);
  terminal.type_line(line);
  terminal.expect("inner> ");
  terminal.type_line("suspend");
  terminal.expect_stop();
  CHECK(is_locked(dir / ".grex-lock"));
  terminal.type_line("fg");
  terminal.expect("inner> ");
  terminal.type_line("exit 5");
  terminal.expect_prompt();
  terminal.type_line("echo status=$?");
  terminal.expect("status=5");
}

// How often a process has waited so far: more, once it has responded to something.
std::string switches_of(pid_t pid) {
  const std::string status = content_of("/proc/" + std::to_string(pid) + "/status");
  const auto at = status.find("\nvoluntary_ctxt_switches");
  return at == std::string::npos ? "" : status.substr(at, status.find('\n', at + 1) - at);
}

// Stops the command, and waits until grex-lock has noticed that and waits again.
void stop_alone(const Pids& pids, int stop) {
  const std::string before = switches_of(pids.tool);
  ::kill(pids.command, stop);
  until(
      [&] { return state_of(pids.command) == 'T' && switches_of(pids.tool) != before && state_of(pids.tool) != 'R'; });
}

}  // namespace

TEST_CASE("a Ctrl-C or Ctrl-backslash at the terminal reaches the command exactly once") {
  const TempDir dir;
  Words words = grex_lock({"run", dir.path(), "--"});
  for (const std::string& word : signal_reporter(3)) words.push_back(word);
  Terminal terminal(words);
  terminal.expect("ready");
  for (const auto& [key, name] : {std::pair(ctrl_c, "INT"), std::pair(ctrl_backslash, "QUIT")}) {
    for (int i = 0; i < 20; ++i) {
      terminal.type(key);
      terminal.expect(name);
      // A second report would come before the answer to this line.
      terminal.type("next\r");
      terminal.expect("next");  // the echo
      CHECK(terminal.expect("next").find(name) == std::string::npos);
    }
  }
  terminal.type("\x04");
  CHECK(terminal.wait() == exited(3));
}

TEST_CASE("a Ctrl-C that the command gets before grex-lock has gone on from starting it is not sent again") {
  if (finish({"strace", "-o", "/dev/null", "true"}).ended != exited(0)) return skip("strace may not trace here");
  const TempDir dir;
  Words words = {"strace", "-o", "/dev/null", "-e", "trace=vfork", "-e", "inject=vfork:delay_exit=300000"};
  for (const Words& more : {grex_lock({"run", dir.path(), "--"}), signal_reporter(3)}) {
    words.insert(words.end(), more.begin(), more.end());
  }
  // LeakSanitizer would need ptrace(2), too.
  Terminal terminal(words, {.environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
  terminal.expect("ready");
  terminal.type(ctrl_c + ctrl_backslash);
  terminal.expect("INT");
  terminal.expect("QUIT");
  // A second report would come before that of a signal which grex-lock must forward.
  ::kill(children_of(terminal.pid()).at(0), SIGTERM);
  const std::string between = terminal.expect("TERM");
  CHECK(between.find("INT") == std::string::npos);
  CHECK(between.find("QUIT") == std::string::npos);
  terminal.type("\x04");
  CHECK(terminal.wait() == exited(3));
}

TEST_CASE("a Ctrl-C that kills the command kills grex-lock too, so that a loop in the shell stops") {
  const TempDir dir;
  Terminal direct(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo ready; read line"}));
  direct.expect("ready");
  direct.type(ctrl_c);
  CHECK(direct.wait() == killed_by(SIGINT));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));

  Terminal loop({"bash", "-c",
                 "for i in 1 2; do " + grex_lock() + " run " + dir.path() +
                     " -- sh -c 'echo ready; read line'; echo next; done"});
  loop.expect("ready");
  loop.type(ctrl_c);
  CHECK(loop.rest().find("next") == std::string::npos);
  CHECK(loop.wait() == killed_by(SIGINT));
}

TEST_CASE("a Ctrl-C ends the wait, and the shell sees 130") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  Shell terminal;
  terminal.type_line(run_line(dir, "true"));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  terminal.type(ctrl_c);
  terminal.expect_prompt();
  terminal.type_line("echo status=$?");
  terminal.expect("status=130");
  CHECK(waiters_on(dir / ".grex-lock") == 0);
}

TEST_CASE("Ctrl-Z stops grex-lock with its command, and fg continues both") {
  const TempDir dir;
  Shell terminal;
  for (int i = 0; i < 3; ++i) {
    const Pids pids = terminal.run(dir, "read line; echo got $line");
    terminal.type(ctrl_z);
    terminal.expect_stop();
    // The shell may learn of the stop before the command has left its read(),
    // which would then take the next line.
    until([&pids] { return state_of(pids.command) == 'T'; });
    CHECK(is_locked(dir / ".grex-lock"));
    terminal.type_line("fg");
    terminal.expect("run");
    terminal.type_line("hello");
    terminal.expect("got hello");
    terminal.expect_prompt();
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  }
}

TEST_CASE("Ctrl-Z stops a wait, and fg continues it") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Shell terminal;
  terminal.type_line(run_line(dir, "echo lo''cked"));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  terminal.type(ctrl_z);
  terminal.expect("Stopped");
  lock.reset();
  terminal.type_line("fg");
  terminal.expect("locked");
}

TEST_CASE("a shell that is suspended under the lock gives the terminal back") {
  const TempDir dir;
  Shell terminal;
  check_suspend(terminal, dir, run_line(dir, inner_shell));
}

TEST_CASE("a shell that is suspended under several locks, or in a script, gives the terminal back") {
  const TempDir dir;
  const std::string run_inner = run_line(dir, inner_shell);
  write_file(dir / "script", run_inner + "\nexit $?\n");
  for (const std::string& line :
       {"bash " + (dir / "script"), grex_lock() + " run -t workspace-sync " + dir.path() + " -- " + run_inner}) {
    Shell terminal;
    check_suspend(terminal, dir, line);
  }
}

TEST_CASE("a command that stops itself in the foreground gives the terminal back to the shell") {
  const TempDir dir;
  Shell terminal;
  terminal.type_line(run_line(dir, "sh -c 'kill -TSTP $$; echo went o''n'"));
  terminal.expect_stop();
  CHECK(is_locked(dir / ".grex-lock"));
  terminal.type_line("fg");
  terminal.expect("went on");
  terminal.expect_prompt();
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a command of a script that is stopped and continued by its PID does not leave grex-lock stopped") {
  const TempDir dir;
  write_file(dir / "script", run_line(dir, reporting("read line; echo got $line")) + "\n");
  for (const int stop : {SIGSTOP, SIGTSTP}) {
    CAPTURE(stop);
    Shell terminal;
    terminal.type_line("bash " + (dir / "script"));
    const Pids pids = expect_pids(terminal);
    stop_alone(pids, stop);
    ::kill(pids.command, SIGCONT);
    terminal.type_line("hello");
    terminal.expect("got hello");
    terminal.expect_prompt();
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  }
}

TEST_CASE("a command of an interactive shell that is stopped and continued by its PID goes on") {
  const TempDir dir;
  Shell terminal;
  const Pids pids = terminal.run(dir, "read line; echo got $line");
  stop_alone(pids, SIGSTOP);
  ::kill(pids.command, SIGCONT);
  terminal.type_line("hello");
  terminal.expect("got hello");
}

TEST_CASE("grex-lock that stopped with its command goes on when the command is continued by its PID") {
  const TempDir dir;
  finish({"mkfifo", dir / "end"});
  Shell terminal;
  const Pids pids = terminal.run(dir, "read line <" + (dir / "end"));
  ::kill(pids.command, SIGTSTP);
  terminal.expect("Stopped");
  CHECK(state_of(pids.tool) == 'T');
  ::kill(pids.command, SIGCONT);
  until([&pids] { return state_of(pids.tool) != 'T'; });
  CHECK(is_locked(dir / ".grex-lock"));
  write_file(dir / "end", "\n");
  until([&dir] { return !is_locked(dir / ".grex-lock"); });
  terminal.type_line("wait; echo all done");
  terminal.expect("all done\r\n");
}

TEST_CASE("a signal to grex-lock that stopped with its command ends both") {
  const TempDir dir;
  Shell terminal;
  const Pids pids = terminal.run(dir, "read line");
  ::kill(pids.command, SIGTSTP);
  terminal.expect("Stopped");
  CHECK(is_locked(dir / ".grex-lock"));
  ::kill(pids.tool, SIGTERM);
  until([&] { return !is_locked(dir / ".grex-lock"); });
  CHECK(state_of(pids.command) != 'T');
}

TEST_CASE("a terminal that hangs up ends the command, though only grex-lock, the session leader, gets SIGHUP") {
  const TempDir dir;
  Terminal terminal(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo ready; exec sleep 1000"}));
  terminal.expect("ready");
  terminal.hang_up();
  CHECK(terminal.wait() == exited(128 + SIGHUP));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a terminal that hangs up ends the wait by SIGHUP") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  Terminal terminal(grex_lock({"run", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  terminal.hang_up();
  CHECK(terminal.wait() == exited(128 + SIGHUP));
}

TEST_CASE("only terminals get colour, and NO_COLOR and --color override it") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const std::string escape = "\x1b[";
  const auto shows_color = [&](const Words& words, const Setup& setup = {}) {
    Terminal terminal(words, setup);
    return terminal.rest().find(escape) != std::string::npos;
  };
  CHECK(shows_color(grex_lock({"status", dir.path()})));
  CHECK_FALSE(shows_color(grex_lock({"status", dir.path()}), {.environment = {{"NO_COLOR", "1"}}}));
  CHECK_FALSE(shows_color(grex_lock({"status", dir.path()}), {.environment = {{"TERM", "dumb"}}}));
  CHECK_FALSE(shows_color(grex_lock({"--color", "never", "status", dir.path()})));
  CHECK(run_tool({"status", dir.path()}).out.find(escape) == std::string::npos);
  CHECK(run_tool({"status", "--color=always", dir.path()}).out.find(escape) != std::string::npos);
}

TEST_CASE("a command that left the process group gets Ctrl-C from grex-lock") {
  const TempDir dir;
  Terminal terminal(grex_lock({"run", dir.path(), "--", "python3", "-c",
                               "import os, signal, sys\n"
                               "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})\n"
                               "os.setpgid(0, 0)\n"
                               "os.write(1, b'ready\\n')\n"
                               "signal.sigwait({signal.SIGINT})\n"
                               "os.write(1, b'got it\\n')\n"
                               "sys.exit(3)\n"}));
  terminal.expect("ready");
  terminal.type(ctrl_c);
  terminal.expect("got it");
  CHECK(terminal.wait() == exited(3));
}

TEST_CASE("a wait is shown in one line that is kept up to date, and erased when the lock comes") {
  const TempDir dir;
  const std::string erase = "\r\x1b[K";
  Stranger stranger(dir / ".grex-lock");
  Terminal terminal(grex_lock({"run", dir.path(), "--", "echo", "mine"}));
  CHECK(terminal.expect("waiting ") == erase + "grex-lock: ");
  const int first = std::stoi(terminal.expect("s for "));
  CHECK(first >= 1);
  CHECK(terminal.expect("waiting ").ends_with(erase + "grex-lock: "));
  CHECK(std::stoi(terminal.expect("s for ")) > first);
  stranger.release();
  const std::string rest = terminal.rest();
  CHECK(rest.ends_with(erase + "mine\r\n"));
  CHECK(rest.substr(0, rest.size() - 6).find('\n') == std::string::npos);
  CHECK(terminal.wait() == exited(0));
}

TEST_CASE("the line follows the holder when it changes") {
  const TempDir dir;
  // With -v, it takes its place in the queue at the start, and keeps it.
  const auto job = [&dir](const std::string& note) {
    return grex_lock({"run", "-v", "--note", note, dir.path(), "--", "sh", "-c", "echo ready; read line"});
  };
  Process one(job("one"));
  CHECK(one.line() == "ready");
  Process two(job("two"));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  Terminal terminal(grex_lock({"run", dir.path(), "--", "true"}), {.before_exec = [] {
                      const winsize wide = {24, 400, 0, 0};
                      ::ioctl(0, TIOCSWINSZ, &wide);
                    }});
  // /proc/locks, read while other locks come and go, may miss one at first.
  terminal.expect(", 1 ahead: held by pid " + std::to_string(one.pid()));
  terminal.expect("[one]");
  one.close_input();
  CHECK(two.line() == "ready");
  terminal.expect("held by pid " + std::to_string(two.pid()));
  terminal.expect("[two]");
  two.close_input();
  CHECK(terminal.wait() == exited(0));
}

TEST_CASE("at 80 columns the line has the note of the holder, and of its command what fits") {
  const TempDir dir;
  const Setup standard = {.before_exec = [] {
    const winsize size = {24, 80, 0, 0};
    ::ioctl(0, TIOCSWINSZ, &size);
  }};
  const auto job = [&dir](std::initializer_list<std::string> options) {
    Words words = grex_lock({"run", "--note", "nightly build"});
    words.insert(words.end(), options);
    for (const char* const word : {"--", "sh", "-c", "echo ready; read line", "a word that is not shown"})
      words.emplace_back(word);
    return words;
  };
  Process pack(job({dir.path()}));
  CHECK(pack.line() == "ready");
  Terminal terminal(grex_lock({"run", dir.path(), "--", "true"}), standard);
  CHECK(terminal.expect(": pid " + std::to_string(pack.pid()) + ": [nightly build] ").ends_with("/.grex-lock"));
  pack.close_input();
  CHECK(terminal.wait() == exited(0));

  Process one(job({"-t", "semaphore", "--slots=2", dir.path()}));
  Process other(job({"-t", "semaphore", "--slots=2", dir.path()}));
  CHECK(one.line() == "ready");
  CHECK(other.line() == "ready");
  Terminal slot(grex_lock({"run", "-t", "semaphore", "--slots=2", dir.path(), "--", "true"}), standard);
  slot.expect("s for a slot (2 of 2 in use): pid ");
  slot.expect(": [nightly build] ");
  one.close_input();
  CHECK(slot.wait() == exited(0));
}

TEST_CASE("at 80 columns, the path is cut before a longer note") {
  const TempDir dir;
  const std::string pack = dir.make("a-directory-with-a-long-name/app");
  Process holder(
      grex_lock({"run", "--note", "nightly build of all packs", pack, "--", "sh", "-c", "echo ready; read line"}));
  CHECK(holder.line() == "ready");
  Terminal terminal(grex_lock({"run", pack, "--", "true"}), {.before_exec = [] {
                      const winsize standard = {24, 80, 0, 0};
                      ::ioctl(0, TIOCSWINSZ, &standard);
                    }});
  terminal.expect("s for …");
  CHECK(terminal.expect(": pid ").ends_with("/app"));
  CHECK(terminal.expect("[nightly build of all packs]…").starts_with(std::to_string(holder.pid())));
  holder.close_input();
  CHECK(terminal.wait() == exited(0));
}

TEST_CASE("the command of the holder is cut before the path, also that of the only slot") {
  const TempDir dir;
  const std::string pack = dir.make("a-workspace-with-a-name/app");
  const auto path_shown = [&pack](const Words& options, unsigned short columns) {
    Words words = grex_lock({"run"});
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(pack);
    Words job = words;
    for (const char* const word : {"--", "sh", "-c", "echo ready; read line", "a long word", "another long word"}) {
      job.emplace_back(word);
    }
    words.insert(words.end(), {"--", "true"});
    Process holder(job);
    CHECK(holder.line() == "ready");
    Terminal terminal(words, {.before_exec = [columns] {
                        const winsize size = {24, columns, 0, 0};
                        ::ioctl(0, TIOCSWINSZ, &size);
                      }});
    terminal.expect("s for ");
    std::string shown = terminal.expect(": pid " + std::to_string(holder.pid()));
    holder.close_input();
    CHECK(terminal.wait() == exited(0));
    return shown;
  };
  const std::string slot = pack + "/.grex/.grex.slot-0.lock";
  const std::string lock = pack + "/.grex-lock";
  const auto wide = static_cast<unsigned short>(60 + slot.size());
  CHECK(path_shown({"-t", "semaphore", "--slots=1"}, wide) == slot);
  CHECK(path_shown({"-t", "semaphore", "--slots=1"}, 80).ends_with("/.grex.slot-0.lock"));
  CHECK(path_shown({}, static_cast<unsigned short>(60 + lock.size())) == lock);
  CHECK(path_shown({}, 60).ends_with("/.grex-lock"));
  const Words noted = {"-t", "semaphore", "--slots=1", "--note", "a note that is longer than what is left"};
  CHECK(path_shown(noted, 80).ends_with("/app"));
}

// It has to last: the clock of a wait can't be set.
TEST_CASE("after ten seconds, the line mentions status if there is room") {
  const TempDir dir;
  Stranger stranger(dir / ".grex-lock");
  const auto waiter = [&dir](unsigned short columns) {
    return std::make_unique<Terminal>(grex_lock({"run", dir.path(), "--", "true"}), Setup{.before_exec = [columns] {
                                        const winsize size = {24, columns, 0, 0};
                                        ::ioctl(0, TIOCSWINSZ, &size);
                                      }});
  };
  const auto wide = waiter(300);
  const auto narrow = waiter(60);
  const std::string before = wide->expect(" (see grex-lock status)");
  CHECK(before.rfind("waiting 1") == before.rfind("waiting "));
  stranger.release();
  CHECK(narrow->rest().find("see grex-lock") == std::string::npos);
  CHECK(narrow->wait() == exited(0));
  CHECK(wide->wait() == exited(0));
}

TEST_CASE("the line is cut to fit a narrow terminal") {
  const TempDir dir;
  Stranger stranger(dir / ".grex-lock");
  Terminal terminal(grex_lock({"run", dir.path(), "--", "true"}), {.before_exec = [] {
                      const winsize narrow = {24, 30, 0, 0};
                      ::ioctl(0, TIOCSWINSZ, &narrow);
                    }});
  const std::string erase = "\r\x1b[K";
  const std::string start = terminal.expect("…");
  CHECK(start.starts_with(erase + "grex-lock: waiting "));
  CHECK(start.ends_with("s for "));
  const std::string end_of_path = terminal.expect("…");
  CHECK(start.size() - erase.size() + 1 + end_of_path.size() + 1 == 29);
  stranger.release();
  CHECK(terminal.wait() == exited(0));
}
