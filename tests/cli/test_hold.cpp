#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

// The holder that `hold` announced. The destructor kills it.
class Holder {
 public:
  explicit Holder(const std::string& announcement) : pid_(std::stoi(announcement.substr(sizeof "pid"))) {}
  ~Holder() {
    if (pid_ > 0) reap(pid_, SIGKILL);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const { ::kill(pid_, number); }
  void wait() { reap(std::exchange(pid_, -1)); }

 private:
  pid_t pid_;
};

// The targets of its open descriptors, sorted.
Words descriptors_of(pid_t pid) {
  Words targets;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    targets.push_back(std::filesystem::read_symlink(entry.path()));
  }
  std::sort(targets.begin(), targets.end());
  return targets;
}

std::string stat_field_after_name(pid_t pid, int field) {
  const std::string stat = content_of("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(") ") + 2));
  std::string text;
  for (int i = 0; i <= field; ++i) fields >> text;
  return text;
}
constexpr int session_field = 3;

// For before_exec: no close_range(2), as before Linux 5.9. A process that closes a number from
// 3000 on, which the limit allows, is killed.
void forbid_close_range() {
  constexpr rlim_t limit = 4096;
  constexpr std::uint32_t first_forbidden = 3000;
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = limit;
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 3, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 0, 3),
      // The lower half of the first argument.
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               offsetof(seccomp_data, args[0]) + (std::endian::native == std::endian::big ? 4 : 0)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, first_forbidden, 2, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  const sock_fprog program = {std::size(filter), filter};
  if (::setrlimit(RLIMIT_NOFILE, &descriptors) != 0 || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    ::_exit(2);
  }
}

}  // namespace

TEST_CASE("hold announces its lock, and at a signal releases it and exits with 0") {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const TempDir dir;
    Process hold(grex_lock({"hold", dir.path()}));
    CHECK(hold.line() == "pid " + std::to_string(hold.pid()) + " holds " + dir.path() + "/.grex-lock");
    CHECK(is_locked(dir / ".grex-lock"));
    hold.signal(signal);
    CHECK(hold.wait() == exited(0));
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
    CHECK(has_released_record(dir / ".grex/.grex-lock"));
  }
}

TEST_CASE("hold --for ends after its time and not before") {
  const TempDir dir;
  const auto start = std::chrono::steady_clock::now();
  // Time must pass here: the test checks its lower bound.
  const Finished finished = run_tool({"hold", "--for", "100ms", dir.path()});
  CHECK(std::chrono::steady_clock::now() - start >= 100ms);
  CHECK(finished.ended == exited(0));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("hold --stdin ends at the end of its input, not before") {
  const TempDir dir;
  Process hold(grex_lock({"hold", "--stdin", dir.path()}));
  hold.line();
  hold.write("not the end\n");
  CHECK(is_locked(dir / ".grex-lock"));
  hold.close_input();
  CHECK(hold.wait() == exited(0));
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("hold --while-pid ends when that process is gone") {
  const TempDir dir;
  Process other(until_input_closes());
  other.line();
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(other.pid()), dir.path()}));
  hold.line();
  CHECK(is_locked(dir / ".grex-lock"));
  other.signal(SIGKILL);
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("hold sleeps while it holds, but for one look at its files a second") {
  const TempDir dir;
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(::getpid()), dir.path()}));
  hold.line();
  const auto times_slept = [&hold] {
    const std::string status = content_of("/proc/" + std::to_string(hold.pid()) + "/status");
    constexpr std::string_view name = "\nvoluntary_ctxt_switches:";
    return std::stol(status.substr(status.find(name) + name.size()));
  };
  until([&hold] { return state_of(hold.pid()) == 'S'; });
  const auto start = std::chrono::steady_clock::now();
  const long before = times_slept();
  // A hold that polls would run many times before this ends.
  CHECK(run_tool({"run", "-w", "300ms", dir.path(), "--", "true"}).ended == exited(75));
  const long looks = times_slept() - before;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
  CHECK(looks <= seconds);
}

TEST_CASE("the record of a hold has its verb, note and process, and status its command line") {
  const TempDir dir;
  const std::string self = std::to_string(::getpid());
  Process hold(grex_lock({"hold", "--note", "hands off", "--while-pid", self, dir.path()}));
  hold.line();
  const json record = json::parse(content_of(dir / ".grex/.grex-lock"));
  CHECK(record["verb"] == "hold");
  CHECK(record["pid"] == hold.pid());
  CHECK(record["note"] == "hands off");
  CHECK(record["command"] == Words{"grex-lock"});
  CHECK(record["while_pid"] == ::getpid());
  const json lock = json::parse(run_tool({"status", "--json", dir.path()}).out)["locks"][2];
  CHECK(lock["holders"][0]["command"] ==
        Words{grex_lock(), "hold", "--note", "hands off", "--while-pid", self, dir.path()});
}

TEST_CASE("a detached hold inherits nothing from its caller") {
  const TempDir dir;
  // bash does not mark descriptor 5 close-on-exec.
  const Finished script = finish(bash("exec 5>leaked; x=$(\"$LOCK\" hold --detach .); echo \"$x\""), in(dir.path()));
  CHECK(script.ended == exited(0));
  Holder holder(script.out);
  CHECK(is_locked(dir / ".grex-lock"));
  const std::string proc = "/proc/" + std::to_string(holder.pid());
  CHECK(std::filesystem::read_symlink(proc + "/cwd") == "/");
  CHECK(stat_field_after_name(holder.pid(), session_field) == std::to_string(holder.pid()));
  until([&holder] { return descriptors_of(holder.pid()).size() == 7; });
  CHECK(descriptors_of(holder.pid()) ==
        Words{"/", "/", "/", dir.path(), dir / ".grex-lock", dir / ".grex/.grex-lock", "anon_inode:[signalfd]"});
  holder.signal(SIGTERM);
  holder.wait();
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
  CHECK(has_released_record(dir / ".grex/.grex-lock"));
}

TEST_CASE("without close_range(2), a detached hold closes what is open, and tries no other number") {
  const TempDir dir;
  Setup setup = in(dir.path());
  setup.before_exec = forbid_close_range;
  const Finished script = finish(bash("exec 5>leaked 2000>high; x=$(\"$LOCK\" hold --detach .); echo \"$x\""), setup);
  CHECK(script.err.empty());
  REQUIRE(script.ended == exited(0));
  REQUIRE(script.out.starts_with("pid "));
  const Holder holder(script.out);
  until([&holder] { return descriptors_of(holder.pid()).size() == 7; });
  CHECK(descriptors_of(holder.pid()) ==
        Words{"/", "/", "/", dir.path(), dir / ".grex-lock", dir / ".grex/.grex-lock", "anon_inode:[signalfd]"});
}

TEST_CASE("hold --detach exits with the error if it gets no lock, and leaves no process") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  for (const auto& [options, status] :
       {std::pair{"-n", 75}, {"-n -E 9", 9}, {"-w 1ms", 75}, {"-l per-pack:none", 66}}) {
    CAPTURE(options);
    const Finished busy =
        finish(bash("x=$(\"$LOCK\" hold --detach " + std::string(options) + " .); s=$?; echo \"[$x]\"; exit $s"),
               in(dir.path()));
    CHECK(busy.ended == exited(status));
    CHECK(busy.out == "[]\n");
    CHECK(busy.err.starts_with("grex-lock: "));
    CHECK_FALSE(left_children());
  }
}

TEST_CASE("a script's lock is free when the script has ended, however it ended") {
  const std::string begin = "\"$LOCK\" hold --detach --while-pid $$ . || exit; ";
  for (const int signal : {0, SIGKILL, SIGTERM}) {
    const TempDir dir;
    Process script(bash(begin + "read -r line"), in(dir.path()));
    Holder holder(script.line());
    CHECK(is_locked(dir / ".grex-lock"));
    signal == 0 ? script.close_input() : script.signal(signal);
    script.wait();
    holder.wait();
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  }
}

TEST_CASE("a signal to a waiting hold --detach ends both its processes") {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    const TempDir dir;
    Stranger stranger(dir / ".grex-lock");
    Process hold(grex_lock({"hold", "--detach", dir.path()}));
    until([&dir] { return is_waited_for(dir.path()); });
    hold.signal(signal);
    CHECK(hold.wait() == exited(128 + signal));
    CHECK(hold.error_rest().starts_with("grex-lock: cancelled: "));
    CHECK(waiters_on(dir / ".grex-lock") == 0);
    stranger.release();
    CHECK_FALSE(left_children());
  }
}

TEST_CASE("a hold --detach whose caller is killed while it waits takes no lock") {
  const TempDir dir;
  Stranger stranger(dir / ".grex-lock");
  Process caller(bash("\"$LOCK\" hold --detach --for 1h .; echo after"), in(dir.path()));
  until([&dir] { return is_waited_for(dir.path()); });
  ::kill(caller.pid(), SIGKILL);  // only the shell, as some CI runners do
  CHECK(caller.error_rest().starts_with("grex-lock: cancelled: "));
  CHECK(waiters_on(dir / ".grex-lock") == 0);
  stranger.release();
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a hold --detach killed while it waits leaves no process waiting") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "--detach", dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  hold.signal(SIGKILL);
  CHECK(hold.wait() == killed_by(SIGKILL));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 0; });
}

TEST_CASE("the end of the watched process ends the wait for the lock too") {
  for (const char* const how : {"--detach", "--note=foreground"}) {
    const TempDir dir;
    const Fd lock = lock_as_grex(dir / ".grex-lock");
    Process other(until_input_closes());
    Process hold(grex_lock({"hold", how, "--while-pid", std::to_string(other.pid()), dir.path()}));
    until([&dir] { return is_waited_for(dir.path()); });
    other.close_input();
    CHECK(other.wait() == exited(0));
    CHECK(hold.wait() == exited(128 + SIGTERM));
    CHECK(waiters_on(dir / ".grex-lock") == 0);
  }
}

TEST_CASE("hold opens none of its files as a closed standard stream") {
  const TempDir dir;
  const Finished no_input = finish(bash("\"$LOCK\" hold --stdin . <&-"), in(dir.path()));
  CHECK(no_input.ended == exited(0));  // the input has already ended
  const Finished no_output = finish(bash("\"$LOCK\" hold --detach --export . >&-"), in(dir.path()));
  CHECK(no_output.ended == exited(74));
  CHECK(no_output.err == "grex-lock: I/O error: standard output: Bad file descriptor (write)\n");
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}

TEST_CASE("a hold keeps several locks, and releases them together") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  Process hold(grex_lock({"hold", b, "-l", "workspace-sync:" + dir.path(), a}));
  CHECK(hold.line() == "pid " + std::to_string(hold.pid()) + " holds " + dir.path() + "/.grex.sync.lock, " + a +
                           "/.grex-lock, " + b + "/.grex-lock");
  for (const std::string& path : {dir / ".grex.sync.lock", a + "/.grex-lock", b + "/.grex-lock"}) {
    CHECK(is_locked(path));
    CHECK(content_of(path).empty());
  }
  for (const std::string& path : {dir / ".grex/.grex.sync.lock", a + "/.grex/.grex-lock", b + "/.grex/.grex-lock"}) {
    CHECK(is_locked(path));
    CHECK(json::parse(content_of(path))["verb"] == "hold");
  }
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(0));
  for (const std::string& path : {dir / ".grex.sync.lock", a + "/.grex-lock", b + "/.grex-lock"}) {
    CHECK_FALSE(is_locked(path));
    CHECK(content_of(path).empty());
  }
}

TEST_CASE("hold --json prints the locks") {
  const TempDir dir;
  Process hold(grex_lock({"hold", "--json", dir.path()}));
  const json document = json::parse(hold.line());
  CHECK(document["verb"] == "hold");
  CHECK(document["locks"][0]["pid"] == hold.pid());
  CHECK(document["locks"][0]["path"] == dir / ".grex-lock");
  const Finished busy = run_tool({"hold", "--json", "-n", dir.path()});
  CHECK(busy.out.empty());
  CHECK(json::parse(busy.err)["error"]["kind"] == "busy");
}

TEST_CASE("a hold with nothing to hold leaves no process") {
  const TempDir dir;
  const Finished ours = run_tool({"run", dir.path(), "--", grex_lock(), "hold", "--detach", "--reentrant", dir.path()});
  CHECK(ours.ended == exited(0));
  CHECK(ours.out.empty());
  CHECK(ours.err == "grex-lock: nothing to lock: an ancestor holds it\n");
  const Finished unlimited = run_tool({"hold", "--detach", "-t", "semaphore", "--slots", "0", dir.path()});
  CHECK(unlimited.ended == exited(0));
  CHECK(unlimited.out.empty());
  CHECK(unlimited.err == "grex-lock: nothing to lock: --slots 0 means no limit\n");
  CHECK(run_tool({"hold", "-q", "--detach", "-t", "semaphore", "--slots", "0", dir.path()}).err.empty());
  CHECK_FALSE(left_children());
}

TEST_CASE("hold keeps no lock that it cannot announce") {
  const TempDir dir;
  for (const std::string options : {"", "--detach", "--detach --export", "--detach --json"}) {
    for (const std::string output : {">/dev/full", ">&-"}) {
      const bool is_result = options.ends_with("export") || options.ends_with("json");
      if (output == ">&-" && !is_result) continue;  // it needs no announcement
      CAPTURE(options);
      CAPTURE(output);
      const Finished finished = finish(bash("\"$LOCK\" hold " + options + " . " + output), in(dir.path()));
      CHECK(finished.ended == exited(74));
      CHECK_FALSE(is_locked(dir / ".grex-lock"));
      CHECK_FALSE(left_children());
    }
  }
}

// SECURITY.md: ignore or block signals | a hold can still be ended; the command gets what grex-lock was given
TEST_CASE("a hold that started with SIGTERM ignored still ends at SIGTERM") {
  const TempDir dir;
  Process hold(grex_lock({"hold", dir.path()}), {.before_exec = [] {
                 ::signal(SIGTERM, SIG_IGN);
                 ::signal(SIGHUP, SIG_IGN);
               }});
  hold.line();
  hold.signal(SIGHUP);  // as under nohup: stays ignored
  CHECK(run_tool({"probe", dir.path()}).ended == exited(75));
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(0));
}

// SECURITY.md: ignore or block signals | a hold can still be ended; the command gets what grex-lock was given
TEST_CASE("a hold that started with signals blocked still ends at a signal, also while it waits") {
  const TempDir dir;
  const Setup blocked = {.before_exec = [] {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
  }};
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    CAPTURE(signal);
    Process hold(grex_lock({"hold", dir.path()}), blocked);
    hold.line();
    for (const char* const how : {"--detach", "--note=foreground"}) {
      CAPTURE(how);
      Process waiter(grex_lock({"hold", how, dir.path()}), blocked);
      until([&dir] { return is_waited_for(dir.path()); });
      waiter.signal(signal);
      CHECK(waiter.wait() == exited(128 + signal));
    }
    hold.signal(signal);
    CHECK(hold.wait() == exited(0));
  }
}

TEST_CASE("bad options of hold are usage errors, with nothing locked and nothing running") {
  const TempDir dir;
  const std::string& d = dir.path();
  Process gone({"true"});
  gone.wait();
  for (const auto& words :
       {grex_lock({"hold", "--detach", "--stdin", d}), grex_lock({"hold", "--export", "--json", d}),
        grex_lock({"hold", "--while-pid", std::to_string(gone.pid()), d}), grex_lock({"hold", "--while-pid", "-1", d}),
        grex_lock({"hold", "--while-pid", "0", d}), grex_lock({"hold", "--while-pid", "99999999999", d}),
        grex_lock({"hold", "--for", "soon", d}), grex_lock({"hold", d, "--", "true", ""})}) {
    const Finished finished = finish(words);
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(64));
  }
  CHECK(run_tool({"hold"}, {.directory = "/"}).ended == exited(64));
  CHECK_FALSE(exists(dir / ".grex-lock"));
  CHECK_FALSE(left_children());
}

TEST_CASE("hold --while-pid of a process that has ended is refused, also if that was not reaped yet") {
  const TempDir dir;
  Process zombie({"true"});
  until([&zombie] { return state_of(zombie.pid()) == 'Z'; });
  const std::string pid = std::to_string(zombie.pid());
  for (const char* const how : {"--detach", "--note=foreground"}) {
    const Finished refused = run_tool({"hold", how, "--while-pid", pid, dir.path()});
    CHECK(refused.ended == exited(64));
    CHECK(refused.out.empty());
    CHECK(refused.err.starts_with("grex-lock: usage: --while-pid: process " + pid + " has ended\n"));
  }
  zombie.wait();
  const Finished refused = run_tool({"hold", "--detach", "--while-pid", pid, dir.path()});
  CHECK(refused.ended == exited(64));
  CHECK(refused.err.starts_with("grex-lock: usage: --while-pid: there is no process " + pid + "\n"));
  CHECK_FALSE(exists(dir / ".grex-lock"));
  CHECK_FALSE(left_children());
}

TEST_CASE("hold --while-pid accepts a process whose main thread has ended") {
  const TempDir dir;
  Process other({"python3", "-c",
                 "import ctypes, sys, threading\n"
                 "threading.Thread(target=sys.stdin.readline).start()\n"
                 "ctypes.CDLL(None).pthread_exit(None)"});
  until([&other] { return state_of(other.pid()) == 'Z'; });
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(other.pid()), dir.path()}));
  hold.line();
  CHECK(is_locked(dir / ".grex-lock"));
  other.signal(SIGKILL);
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("hold --export without --detach is refused with the corrected line: the shell would wait forever") {
  const TempDir dir;
  const std::string pack = dir.make("it's");
  const Finished script =
      finish(bash("stack=$(\"$LOCK\" hold --note n --export --stdin \"it's\"); echo $? \"$stack\""), in(dir.path()));
  CHECK(script.out == "64 \n");
  CHECK(script.err ==
        "grex-lock: usage: --export needs --detach: the shell waits for the end of the output\n"
        "grex-lock: try: grex-lock hold --detach --note n --export 'it'\\''s'\n");
  CHECK_FALSE(exists(pack + "/.grex-lock"));
}

TEST_CASE("after a signal at any moment, hold --detach has announced its holder or left the lock free") {
  // From its first step to well after its last, at this machine's speed.
  const int steps = tries(120);
  std::chrono::nanoseconds whole{};
  {
    const TempDir dir;
    Process undisturbed(grex_lock({"hold", "--detach", dir.path()}));
    whole = undisturbed.time_to_end();
    const Holder holder(undisturbed.line());
  }
  constexpr int enough = 3;
  int held = 0;
  int ended_early = 0;
  // Until both outcomes have occurred; each sweep goes twice as far as the last.
  for (int i = 0; i < steps || held < enough || ended_early < enough; ++i) {
    REQUIRE(i < 12 * steps);
    const TempDir dir;
    Process hold(grex_lock({"hold", "--detach", dir.path()}));
    hold.run_for(whole * (i % steps) * 3 / (2 * steps) * (1 << (i / steps)));
    hold.signal(SIGTERM);
    const Ended ended = hold.wait();
    const std::string announced = hold.rest();
    ++(ended == exited(0) ? held : ended_early);
    if (ended == exited(0)) {
      Holder holder(announced);
      CHECK(is_locked(dir / ".grex-lock"));
    } else {
      CHECK((ended == exited(128 + SIGTERM) || ended == killed_by(SIGTERM)));
      until([&dir] { return !is_locked(dir / ".grex-lock"); });
    }
    until([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; });
  }
  MESSAGE(held << " held the lock, " << ended_early << " ended early");
}

// SECURITY.md: close standard streams, so that a lock becomes one | the numbers 0, 1 and 2 are not used
TEST_CASE("closed standard streams do not make a detached hold lose its lock") {
  const TempDir dir;
  Process script(bash("\"$LOCK\" hold --detach --while-pid $$ . <&- 2>&-; echo $?; read -r line; exit 0"),
                 in(dir.path()));
  Holder holder(script.line());
  CHECK(script.line() == "0");
  CHECK(is_locked(dir / ".grex-lock"));
  script.close_input();
  CHECK(script.wait() == exited(0));
  holder.wait();
}

TEST_CASE("a stopped foreground process does not keep the background one from ending") {
  const TempDir dir;
  Fd lock = lock_as_grex(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "--detach", dir.path()}));
  until([&dir] { return is_waited_for(dir.path()); });
  hold.signal(SIGSTOP);
  until([&hold] { return state_of(hold.pid()) == 'T'; });
  lock.reset();
  const std::string line = hold.line();
  const pid_t background = std::stoi(line.substr(sizeof "pid"));
  ::kill(background, SIGTERM);
  until([&dir] { return !is_locked(dir / ".grex-lock"); });
  hold.signal(SIGCONT);
  CHECK(hold.wait() == exited(128 + SIGTERM));
}

TEST_CASE("a waiting hold --detach that started with SIGTERM ignored still ends at SIGTERM") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  Process hold(grex_lock({"hold", "--detach", dir.path()}), {.before_exec = [] { ::signal(SIGTERM, SIG_IGN); }});
  until([&dir] { return is_waited_for(dir.path()); });
  hold.signal(SIGTERM);
  CHECK(hold.wait() == exited(128 + SIGTERM));
}

TEST_CASE("hold fails if its standard output is only open for reading") {
  const TempDir dir;
  const FullPipe full;
  Process hold(grex_lock({"hold", dir.path()}), {.before_exec = [&full] { ::dup2(full.reader(), 1); }});
  CHECK(hold.wait() == exited(74));
}
