// Bad input: one clear line, the documented code, nothing lost.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/events.hpp"
#include "support/process.hpp"
#include "support/stranger.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// LeakSanitizer itself fails under a resource limit.
const std::map<std::string, std::optional<std::string>> without_leak_check = {{"ASAN_OPTIONS", "detect_leaks=0"}};

// As on a kernel that has none of these system calls.
Setup without(const std::vector<long>& calls, const std::string& directory) {
  Setup setup = in(directory);
  setup.before_exec = [calls] {
    std::vector<sock_filter> filter = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const long call : calls) {
      filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
      filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
    const rlimit descriptors = {256, 256};  // closed one by one
    ::setrlimit(RLIMIT_NOFILE, &descriptors);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(77);
  };
  return setup;
}

// The message may be only its beginning.
void check_usage(const Finished& finished, const std::string& message) {
  CAPTURE(finished.err);
  CHECK(finished.ended == exited(64));
  CHECK(finished.out.empty());
  CHECK(finished.err.starts_with("grex-lock: usage: " + message));
  CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') <= 2);
}

// The whole message, with a hint unless that is empty.
void check_usage(const Finished& finished, const std::string& message, const std::string& hint) {
  CHECK(finished.ended == exited(64));
  CHECK(finished.out.empty());
  CHECK(finished.err == "grex-lock: usage: " + message + "\n" + (hint.empty() ? "" : "grex-lock: " + hint + "\n"));
}

}  // namespace

TEST_CASE("without --, the error shows the corrected line") {
  const TempDir dir;
  const std::string& d = dir.path();
  const Finished finished = run_tool({"run", "-n", dir.path(), "ls", "-j8", "a b"});
  check_usage(finished, "'--' is missing before the command\n");
  CHECK(finished.err.ends_with("grex-lock: try: grex-lock run -n " + dir.path() + " -- ls -j8 'a b'\n"));
  CHECK_FALSE(exists(dir / ".grex-lock"));
  CHECK(run_tool({"run", "-w", "5", "ls", "-j8", "all"})
            .err.ends_with("grex-lock: try: grex-lock run -w 5 -- ls -j8 all\n"));
  CHECK(run_tool({"run", d, d, "-t", "backend", "tar", "-x", "f"})
            .err.ends_with("grex-lock: try: grex-lock run " + d + " " + d + " -t backend tar -x f -- CMD\n"));
  CHECK(run_tool({"run", "-n", d, d, "ls", "-n", d})
            .err.ends_with("grex-lock: try: grex-lock run -n " + d + " " + d + " -- ls -n " + d + "\n"));
}

TEST_CASE("without a command, run shows where it goes") {
  const TempDir dir;
  for (const auto& words : {grex_lock({"run", dir.path()}), grex_lock({"run", dir.path(), "--"})}) {
    const Finished finished = finish(words);
    check_usage(finished, "CMD is missing", "try: grex-lock run " + dir.path() + " -- CMD");
  }
}

TEST_CASE("without a command and a pack, run shows where both go") {
  const TempDir dir;
  const auto err_of = [&dir](const Words& words) { return finish(words, in(dir.path())); };
  check_usage(err_of(grex_lock({"run"})), "CMD is missing", "try: grex-lock run PATH -- CMD");
  check_usage(err_of(grex_lock({"run", "-n", "--"})), "CMD is missing", "try: grex-lock run -n PATH -- CMD");
  check_usage(err_of(grex_lock({"run", "-l", "per-pack:."})), "CMD is missing",
              "try: grex-lock run -l per-pack:. -- CMD");
  dir.make(".git");
  check_usage(err_of(grex_lock({"run"})), "CMD is missing", "try: grex-lock run -- CMD");
  check_usage(err_of(grex_lock({"run", "-t", "semaphore"})), "CMD is missing",
              "try: grex-lock run -t semaphore PATH -- CMD");
}

TEST_CASE("a PATH behind -- is shown in front of it") {
  const TempDir dir;
  const std::string lib = dir.make("lib");
  const auto check = [](const Words& words, const std::string& line) {
    check_usage(finish(words), "PATH goes before '--'", "try: grex-lock run " + line);
  };
  check(grex_lock({"run", "--", lib, "make", "all"}), lib + " -- make all");
  check(grex_lock({"run", "-n", "--", lib}), "-n " + lib + " -- CMD");
}

TEST_CASE("without a command, or with a mistyped one, the error shows what to type") {
  const TempDir dir;
  dir.make("app");
  const Setup here = in(dir.path());
  check_usage(run_tool({}), "no command given", "see 'grex-lock --help'");
  check_usage(run_tool({"rum", "app"}, here), "unknown command 'rum'", "did you mean 'run'?");
  check_usage(run_tool({"stats"}, here), "unknown command 'stats'", "did you mean 'status'?");
  check_usage(run_tool({"start"}, here), "unknown command 'start'", "see 'grex-lock --help'");
  for (const auto& [typed, meant] : {std::pair("lock", "run"),
                                     {"unlock", "release"},
                                     {"ps", "status"},
                                     {"list", "status"},
                                     {"check", "probe"},
                                     {"kill", "release"},
                                     {"who", "status"},
                                     {"holders", "status"}}) {
    check_usage(run_tool({typed}, here), "unknown command '" + std::string(typed) + "'",
                "did you mean '" + std::string(meant) + "'?");
  }
  check_usage(run_tool({"version"}, here), "unknown command 'version'", "did you mean --version?");
  const std::string unlock = "'grex-lock release' ends a hold; 'grex-lock fd -u' unlocks descriptors";
  check_usage(run_tool({"-u", "app"}, here), "unknown command 'app'", unlock);
  check_usage(run_tool({"-u", "9"}, here), "unknown command '9'", unlock);
  check_usage(run_tool({"app", "--unlock"}, here), "unknown command 'app'", unlock);
  check_usage(run_tool({"app", "sort", "-u"}, here), "unknown command 'app'", "try: grex-lock run app -- sort -u");
  check_usage(run_tool({"-w", "5", "run", "app", "--", "make"}, here), "unknown command '5'",
              "the options of 'run' come after it");
  check_usage(run_tool({"app", "git", "pull"}, here), "unknown command 'app'", "try: grex-lock run app -- git pull");
  check_usage(run_tool({"app", "-n", "--", "git", "pull"}, here), "unknown command 'app'",
              "try: grex-lock run app -n -- git pull");
  check_usage(run_tool({"app", "-w", "5", "git"}, here), "unknown command 'app'", "try: grex-lock run app -w 5 -- git");
  check_usage(run_tool({"-n", "app", "git", "pull"}, here), "unknown command 'app'",
              "try: grex-lock run -n app -- git pull");
  check_usage(run_tool({"-w", "5", "app", "-c", "git pull"}, here), "unknown command '5'",
              "try: grex-lock run -w 5 app -c 'git pull'");
  check_usage(run_tool({"help"}, here), "unknown command 'help'", "see 'grex-lock --help'");
  check_usage(run_tool({"help", "run"}, here), "unknown command 'help'", "see 'grex-lock run --help'");
  check_usage(run_tool({"help", "start"}, here), "unknown command 'help'", "see 'grex-lock --help'");
  check_usage(run_tool({"app"}, here), "unknown command 'app'", "try: grex-lock run app -- CMD");
  CHECK_FALSE(exists(dir / "app/.grex-lock"));
}

TEST_CASE("a mistyped option is a usage error, with the option that was probably meant") {
  const TempDir dir;
  const std::string& d = dir.path();
  const std::string see_run = "see 'grex-lock run --help'";
  check_usage(run_tool({"run", "--nonblok", d, "--", "true"}), "unknown option --nonblok", "did you mean --nonblock?");
  check_usage(run_tool({"run", "--nonblok", d, "true"}), "unknown option --nonblok", "did you mean --nonblock?");
  check_usage(run_tool({"probe", "--layot=flat", d}), "unknown option --layot", "did you mean --layout?");
  check_usage(run_tool({"--jsno"}), "unknown option --jsno", "did you mean --json?");
  check_usage(run_tool({"--teir"}), "unknown option --teir", "see 'grex-lock --help'");
  check_usage(run_tool({"run", "--pid", "1", d, "--", "true"}), "unknown option --pid", see_run);
  check_usage(run_tool({"hold", "--pid", "1", d}), "unknown option --pid", "did you mean --while-pid?");
  check_usage(run_tool({"run", "-z", d, "--", "true"}), "unknown option -z", see_run);
  check_usage(run_tool({"run", "-z", d}), "unknown option -z", see_run);
  check_usage(run_tool({"run", "-c", "true", d, "-z"}), "unknown option -z", see_run);
  check_usage(run_tool({"run", "-n " + d, "--", "true"}), "unknown option -n " + d, see_run);
  check_usage(run_tool({"probe", "-sx-", d}), "unknown option -sx-\n");
  check_usage(run_tool({"probe", "-s5", d}), "unknown option -s5\n");
  check_usage(run_tool({"run", "-W", "5", d, "--", "true"}), "unknown option -W", "did you mean -w?");
  check_usage(run_tool({"hold", "-N", d}), "unknown option -N", "did you mean -n?");
  check_usage(run_tool({"hold", "-d", d}), "unknown option -d", "did you mean --detach?");
  CHECK_FALSE(exists(dir / ".grex-lock"));
}

TEST_CASE("for an option that another command has, the error names that command") {
  const TempDir dir;
  const std::string& d = dir.path();
  const std::string unlock = "'grex-lock release' ends a hold; 'grex-lock fd -u' unlocks descriptors";
  const std::string wait = "leave it out: probe never waits, and 'grex-lock wait' does";
  check_usage(run_tool({"run", "-u", d, "--", "true"}), "unknown option -u", unlock);
  check_usage(run_tool({"run", "-u", d}), "unknown option -u", unlock);
  check_usage(run_tool({"hold", "--unlock", d}), "unknown option --unlock", unlock);
  check_usage(run_tool({"probe", "-sn", d}), "unknown option -n", wait);
  check_usage(run_tool({"probe", "--timeout=5", d}), "unknown option --timeout", wait);
  check_usage(run_tool({"release", "-n", d}), "unknown option -n", "see 'grex-lock release --help'");
  check_usage(run_tool({"hold", "-c", "make", d}), "unknown option -c", "only 'grex-lock run' runs a command");
}

TEST_CASE("a mistyped value that has a name is a usage error, with the name that was probably meant or all of them") {
  const TempDir dir;
  const std::string& d = dir.path();
  const std::string tiers = "tiers: workspace-sync, semaphore, per-pack, backend, manifest";
  check_usage(run_tool({"run", "-t", "perpack", d, "--", "true"}), "--tier: unknown tier 'perpack'",
              "did you mean per-pack?");
  check_usage(run_tool({"run", "-t", "pack", d, "--", "true"}), "--tier: unknown tier 'pack'",
              "did you mean per-pack?");
  check_usage(run_tool({"probe", "--tier=none", d}), "--tier: unknown tier 'none'", tiers);
  check_usage(run_tool({"--layout", "nest", "status", d}), "--layout: unknown layout 'nest'", "did you mean nested?");
  check_usage(run_tool({"--layout", "round", "status", d}), "--layout: unknown layout 'round'",
              "layouts: both, flat, nested");
  check_usage(run_tool({"--color", "red", "status", d}), "--color: unknown value 'red'", "values: auto, always, never");
  check_usage(run_tool({"run", "--tier-check", "wan", d, "--", "true"}), "--tier-check: unknown action 'wan'",
              "did you mean warn?");
  check_usage(run_tool({"hold", "--if-lost", "exit", d}), "--if-lost: unknown action 'exit'",
              "actions: restore, warn, stop");
  check_usage(run_tool({"hold", "--git-exclude", "never", d}), "--git-exclude: unknown value 'never'",
              "values: auto, off");
  check_usage(run_tool({"hold", "--detach", "--export=fish", d}), "--export: unknown form 'fish'", "forms: shell, env");
  check_usage(run_tool({"run", "-l", "pack:x", "--", "true"}), "--lock: unknown tier 'pack'", "did you mean per-pack?");
  check_usage(run_tool({"run", "-l", "app", "--", "true"}), "--lock: no tier in 'app'", "try: -l per-pack:app");
  check_usage(run_tool({"run", "-l", ":a b", "--", "true"}), "--lock: no tier in ':a b'", "try: -l 'per-pack:a b'");
  check_usage(run_tool({"run", "-l", "manifest=/ws", "--", "true"}), "--lock: no ':' in 'manifest=/ws'",
              "try: -l manifest:/ws");
  const Setup setup = {.environment = {{"GREX_LOCK_LAYOUT", "nest"}}};
  check_usage(run_tool({"probe", d}, setup), "GREX_LOCK_LAYOUT: unknown layout 'nest'", "did you mean nested?");
}

TEST_CASE("if a value is empty, the error asks whether a variable is unset") {
  const TempDir dir;
  const std::string& d = dir.path();
  const std::string hint = "is a variable unset?";
  check_usage(run_tool({"probe", "--tier=", d}), "--tier: unknown tier ''", hint);
  check_usage(run_tool({"run", "--timeout=", d, "--", "true"}), "--timeout: '' is not a duration", hint);
  check_usage(run_tool({"hold", "--while-pid", "", d}), "--while-pid: '' is not a process ID (a number)", hint);
  check_usage(run_tool({"run", "-l", "", "--", "true"}), "--lock: no tier in ''", hint);
  check_usage(run_tool({"run", "-l", "per-pack:", "--", "true"}), "--lock: PATH is empty in 'per-pack:'", hint);
  check_usage(run_tool({"fd", ""}), "'' is not a descriptor", hint);
}

TEST_CASE("a bad value is a usage error that shows what is valid") {
  const TempDir dir;
  const std::string& d = dir.path();
  const std::string durations = "units: ms, s (default), m, h; for example 0.25 or 2m";
  check_usage(run_tool({"run", "-w", "1d", d, "--", "true"}), "--timeout: '1d' is not a duration", durations);
  check_usage(run_tool({"run", "-w", "soon", d, "--", "true"}), "--timeout: 'soon' is not a duration", durations);
  check_usage(run_tool({"run", "--wait", "-1", d, "--", "true"}), "--timeout: '-1' is not a duration", durations);
  check_usage(run_tool({"status", "--watch=0", d}), "--watch: '0' is not a duration of 0.1s or more", durations);
  check_usage(run_tool({"run", "-E", "256", d, "--", "true"}),
              "--conflict-exit-code: '256' is not a number from 0 to 255", "");
  check_usage(run_tool({"probe", "-sE", "-n ", d}), "--conflict-exit-code: '-n ' is not a number from 0 to 255\n");
  check_usage(run_tool({"run", "--slots", "4097", d, "--", "true"}), "--slots: '4097' is not a number from 0 to 4096",
              "");
  check_usage(run_tool({"hold", "--while-pid", "me", d}), "--while-pid: 'me' is not a process ID (a number)", "");
  check_usage(run_tool({"hold", "--json-status-fd", "x", d}), "--json-status-fd: 'x' is not a descriptor (a number)",
              "");
}

TEST_CASE("an option without its value, or with one that it can't have, is a usage error") {
  const TempDir dir;
  const std::string& d = dir.path();
  const std::string see_run = "see 'grex-lock run --help'";
  check_usage(run_tool({"run", d, "-w"}), "--timeout needs a DURATION",
              "units: ms, s (default), m, h; for example 0.25 or 2m");
  check_usage(run_tool({"run", d, "-nt", "--", "true"}), "--tier needs a TIER",
              "tiers: workspace-sync, semaphore, per-pack, backend, manifest");
  check_usage(run_tool({"run", d, "--if-lost"}), "--if-lost needs an ACTION", "actions: restore, warn, stop");
  check_usage(run_tool({"run", d, "--slots"}), "--slots needs an N", see_run);
  check_usage(run_tool({"run", d, "-c"}), "--command needs a STRING", see_run);
  check_usage(run_tool({"--layout"}), "--layout needs a LAYOUT", "layouts: both, flat, nested");
  check_usage(run_tool({"run", "-c", "true", "-c", "false", d}), "--command can be given only once", "");
  check_usage(run_tool({"probe", "--quiet=", d}), "--quiet takes no value", "");
  check_usage(run_tool({"run", "--no-fork=false", d, "--", "true"}), "--no-fork takes no value", "");
  check_usage(run_tool({"run", "--guard=", d, "--", "true"}), "--guard: DIR is empty", "is a variable unset?");
  check_usage(run_tool({"status", "--watch=", d}), "--watch: SECONDS is empty", "is a variable unset?");
  check_usage(run_tool({"run", "--log=", d, "--", "true"}), "--log: FILE is empty", "is a variable unset?");
  CHECK_FALSE(exists(dir / ".grex-lock"));
  // An empty note is none, and PATH is not taken for it.
  CHECK(run_tool({"run", "--note=", d, "--", "true"}).ended == exited(0));
  CHECK(exists(dir / ".grex-lock"));
}

TEST_CASE("options that cannot be used together are named as they were typed") {
  const TempDir dir;
  const std::string& d = dir.path();
  const auto refused = [](const Words& words, const std::string& pair) {
    Words line = grex_lock({});
    line.insert(line.end(), words.begin(), words.end());
    check_usage(finish(line), pair + " cannot be used together", "");
  };
  refused({"run", "-n", "-w", "3", d, "--", "true"}, "-n and -w");
  refused({"run", "-w", "3", d, "-n", "--", "true"}, "-w and -n");
  refused({"run", "-snw3", d, "--", "true"}, "-n and -w");
  refused({"run", "--nb", "--wait=3", d, "--", "true"}, "--nb and --wait");
  refused({"hold", "--nonblock", "--timeout=1s", d}, "--nonblock and --timeout");
  refused({"run", "-s", "-x", d, "--", "true"}, "-s and -x");
  refused({"wait", "-e", "--shared", d}, "-e and --shared");
  refused({"run", "-q", "--verbose", d, "--", "true"}, "-q and --verbose");
  refused({"run", "-o", "-F", d, "--", "true"}, "-o and -F");
  refused({"run", "-o", "--linger", d, "--", "true"}, "-o and --linger");
  refused({"run", "-F", "--if-lost", "stop", d, "--", "true"}, "-F and --if-lost");
  refused({"run", "--if-lost=warn", "--linger", d, "--", "true"}, "--if-lost and --linger");
  refused({"run", "--note", "text", "--no-record", d, "--", "true"}, "--note and --no-record");
  refused({"hold", "--no-record", "--note=text", d}, "--no-record and --note");
  refused({"hold", "--stdin", "--detach", d}, "--stdin and --detach");
  refused({"fd", "--export", "9", "-u", "-s"}, "-u and -s");
  refused({"fd", "-u", "--note", "text", "9"}, "-u and --note");
  refused({"fd", "-u", "--log", "file", "9"}, "-u and --log");
  refused({"fd", "--json-status-fd=2", "-u", "9"}, "--json-status-fd and -u");
  refused({"fd", "-t", "manifest", "-u", "9"}, "-t and -u");
  refused({"release", "--all", "--pid", "1", d}, "--all and --pid");
  refused({"status", "--all", "-r"}, "--all and -r");
  refused({"status", "--graph", "--watch", d}, "--graph and --watch");
  const json graph = json::parse(run_tool({"--json", "status", "--graph", d}).out);
  CHECK(graph["error"]["message"] == "usage: --json and --graph cannot be used together");
  const json exported = json::parse(run_tool({"hold", "--detach", "--export=env", "--json", d}).err);
  CHECK(exported["error"]["message"] == "usage: --export and --json cannot be used together");
  check_usage(run_tool({"run", "-c", "true", d, "--", "true"}), "-c STRING and -- CMD cannot be used together", "");
  // What looks like an option, but is a value or behind --, is none.
  CHECK(run_tool({"run", "-n", "--note", "-w", d, "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "-n", "-n", d, "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "-n", "-w", "3", "--help"}).ended == exited(0));
}

TEST_CASE("a PATH that is empty, superfluous or impossible is a usage error") {
  const TempDir dir;
  const std::string& d = dir.path();
  for (const auto& words : {grex_lock({"run", "", "--", "true"}), grex_lock({"probe", ""}), grex_lock({"status", ""}),
                            grex_lock({"tiers", ""}), grex_lock({"release", ""})}) {
    check_usage(finish(words), "PATH is empty", "is a variable unset? '.' is the current directory");
  }
  check_usage(run_tool({"release", d, "lib"}), "unexpected argument 'lib'", "release takes one PATH");
  check_usage(run_tool({"probe", "--", d, "-x"}), "unknown option -x\n");
  check_usage(run_tool({"tiers", d, "--", "lib"}), "unexpected argument 'lib'", "tiers takes one PATH");
  check_usage(run_tool({"stack", "lib"}), "unexpected argument 'lib'", "stack takes no PATH");
  check_usage(run_tool({"status", "--all", d}), "--all takes no PATH\n");
  check_usage(run_tool({"tiers", "--gitignore", d}), "--gitignore takes no PATH", "");
  const std::string no_clone = "tier backend: / cannot be a clone destination";
  check_usage(run_tool({"run", "-t", "backend", "/", "--", "true"}), no_clone, "");
  check_usage(run_tool({"run", "--create", "-l", "backend:/", "--", "true"}), no_clone, "");
  check_usage(run_tool({"probe", "-t", "backend", "/"}), no_clone, "");
  check_usage(run_tool({"release", "-t", "backend", "/"}), no_clone, "");
  CHECK(run_tool({"status", "/"}).ended == exited(0));
}

TEST_CASE("fd without descriptors, or with something else, shows how to open them") {
  const std::string hint =
      "try: mkdir -p PATH/.grex; exec 8>>PATH/.grex-lock 9>>PATH/.grex/.grex-lock; grex-lock fd 8 9";
  check_usage(run_tool({"fd"}), "no descriptor given", hint);
  check_usage(run_tool({"fd", "app"}), "'app' is not a descriptor", hint);
  const TempDir dir;
  const std::string pack = dir.make("a b");
  check_usage(run_tool({"fd", pack}), "'" + pack + "' is not a descriptor",
              "try: mkdir -p '" + pack + "/.grex'; exec 8>>'" + pack + "/.grex-lock' 9>>'" + pack +
                  "/.grex/.grex-lock'; grex-lock fd 8 9");
  check_usage(run_tool({"fd", "-u"}), "no descriptor given", "for example: grex-lock fd -u 9");
}

TEST_CASE("flock(1)'s other spellings work where they mean the same") {
  const TempDir dir;
  const std::string& d = dir.path();
  const Fd held = lock_as_grex(dir / ".grex-lock");
  for (const char* const nonblocking : {"--nb", "--nonblocking"}) {
    CHECK(run_tool({"run", nonblocking, d, "--", "true"}).ended == exited(75));
  }
  CHECK(run_tool({"run", "-e", "--wait", "1ms", d, "--", "true"}).ended == exited(75));
  CHECK(run_tool({"wait", "--wait=1ms", d}).ended == exited(75));
  CHECK(run_tool({"hold", "-en", d}).ended == exited(75));
}

TEST_CASE("an option that can have no effect is a usage error, but not a default from the environment") {
  const TempDir dir;
  const std::string d = dir.path();
  const std::string no_slot = "--slots has no effect without tier semaphore\ngrex-lock: add -t semaphore\n";
  const std::string no_path = "--tier has no effect without PATH\n";
  check_usage(run_tool({"run", "--slots", "2", "-l", "manifest:" + d, d, "--", "true"}), no_slot);
  check_usage(run_tool({"hold", "--slots", "2", d}), no_slot);
  check_usage(run_tool({"wait", "--slots", "2", d}), no_slot);
  check_usage(run_tool({"probe", "--slots", "2", d}), no_slot);
  check_usage(run_tool({"run", "-t", "manifest", "-l", "per-pack:" + d, "--", "true"}), no_path);
  check_usage(run_tool({"wait", "-t", "manifest", "-l", "per-pack:" + d}), no_path);
  check_usage(run_tool({"wait", "--guard", "-t", "manifest", d}), "--guard has no effect without tier per-pack\n");
  const Setup defaults = {.environment = {{"GREX_PARALLEL", "3"}, {"GREX_LOCK_GUARD", "1"}}};
  CHECK(run_tool({"run", "-t", "manifest", d, "--", "true"}, defaults).ended == exited(0));
  CHECK(run_tool({"run", "--slots", "2", "-l", "semaphore:" + d, d, "--", "true"}).ended == exited(0));
}

// SECURITY.md: set variables to nonsense | 64, and the variable is named; `status` shows what it can
TEST_CASE("a bad variable is a usage error that names it") {
  const TempDir dir;
  const std::pair<const char*, const char*> variables[] = {
      {"GREX_LOCK_TIMEOUT", "soon"}, {"GREX_LOCK_TIER_CHECK", "maybe"}, {"GREX_LOCK_LAYOUT", "round"}};
  for (const auto& [name, value] : variables) {
    const Finished finished = run_tool({"run", dir.path(), "--", "true"}, {.environment = {{name, value}}});
    check_usage(finished, std::string(name) + ": ");
    CHECK(finished.err.find("'" + std::string(value) + "'") != std::string::npos);
  }
  for (const char* const value : {"many", "-1", "4097"}) {
    const Setup setup = {.environment = {{"GREX_PARALLEL", value}}};
    check_usage(run_tool({"run", "-t", "semaphore", dir.path(), "--", "true"}, setup), "GREX_PARALLEL: ");
    CHECK(run_tool({"run", dir.path(), "--", "true"}, setup).ended == exited(0));  // this tier ignores it
  }
}

// SECURITY.md: set variables to nonsense | 64, and the variable is named; `status` shows what it can
TEST_CASE("status shows what it can, whatever the variables are") {
  const TempDir dir;
  const Fd slot = lock_as_grex(dir / ".grex/.grex.slot-1.lock");
  const auto slots_with = [&dir](const std::string& value) -> json {
    const Setup setup = {.environment = {{"GREX_PARALLEL", value}}};
    const Finished finished = run_tool({"status", "--json", dir.path()}, setup);
    CAPTURE(value);
    CHECK(finished.ended == exited(0));
    CHECK(run_tool({"status", dir.path()}, setup).ended == exited(0));
    CHECK(run_tool({"tiers", dir.path()}, setup).ended == exited(0));
    return json::parse(finished.out)["locks"][1]["slots"];
  };
  CHECK(slots_with("0") == 0);
  CHECK(slots_with("4096") == 4096);
  CHECK(slots_with("5000") == 5000);  // the number is only shown
  const json by_default = slots_with("");
  CHECK(by_default >= 1);
  for (const char* const value : {"auto", " 4", "-1", "4.0", "99999999999999999999"}) {
    CHECK(slots_with(value) == by_default);
  }

  const Setup bad = {.environment = {{"GREX_LOCK_LAYOUT", "round"}, {"GREX_PARALLEL", "auto"}}};
  const Finished both = run_tool({"status", "--json", dir.path()}, bad);
  CHECK(both.ended == exited(0));
  CHECK(json::parse(both.out)["locks"][2]["files"].size() == 2);
  CHECK(run_tool({"status", "-r", dir.path()}, bad).ended == exited(0));
  CHECK(run_tool({"status", "--all"}, bad).ended == exited(0));
  CHECK(run_tool({"status", "--layout", "round", dir.path()}).ended == exited(64));
}

TEST_CASE("a bad variable of which a command needs nothing is ignored") {
  const TempDir dir;
  const Setup bad = {.environment = {{"GREX_LOCK_GIT_EXCLUDE", "never"},
                                     {"GREX_LOCK_GUARD", "yes"},
                                     {"GREX_LOCK_TIMEOUT", "soon"},
                                     {"GREX_LOCK_TIER_CHECK", "maybe"},
                                     {"GREX_PARALLEL", "auto"}}};
  CHECK(run_tool({"release", dir.path()}, bad).ended == exited(69));
  CHECK(run_tool({"stack"}, bad).ended == exited(0));
  CHECK(run_tool({"tiers"}, bad).ended == exited(0));
  Setup in_pack = in(dir.path());
  in_pack.environment.insert(bad.environment.begin(), bad.environment.end());
  in_pack.environment["GREX_LOCK_LAYOUT"] = "round";
  in_pack.environment["GREX_LOCK_LOG"] = "relative";
  const Finished unlocked = finish(bash("exec 9>>.grex-lock; \"$LOCK\" fd -u 9"), in_pack);
  CHECK(unlocked.ended == exited(0));
  // Only some tiers have guards or slots, only some commands create files, and -n has no timeout.
  const std::string ws = "workspace-sync";
  const Setup some = {.environment = {{"GREX_LOCK_GUARD", "yes"}, {"GREX_PARALLEL", "auto"}}};
  CHECK(run_tool({"run", "-t", ws, dir.path(), "--", "true"}, some).ended == exited(0));
  check_usage(run_tool({"run", dir.path(), "--", "true"}, some), "GREX_LOCK_GUARD: 'yes' is not 1 or 0\n");
  const Setup files = {.environment = {{"GREX_LOCK_GIT_EXCLUDE", "never"}}};
  CHECK(run_tool({"probe", dir.path()}, files).ended == exited(0));
  CHECK(run_tool({"wait", dir.path()}, files).ended == exited(0));
  check_usage(run_tool({"hold", dir.path()}, files), "GREX_LOCK_GIT_EXCLUDE: ");
  const Setup timeout = {.environment = {{"GREX_LOCK_TIMEOUT", "soon"}}};
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}, timeout).ended == exited(0));
  CHECK(run_tool({"probe", dir.path()}, timeout).ended == exited(0));
  const Setup layout = {.environment = {{"GREX_LOCK_LAYOUT", "round"}}};
  CHECK(run_tool({"tiers", "--gitignore"}, layout).ended == exited(0));
  for (const char* const verb : {"probe", "wait", "release", "tiers"}) {
    check_usage(run_tool({verb, dir.path()}, layout), "GREX_LOCK_LAYOUT: ");
  }
}

TEST_CASE("options on the command line override bad variables") {
  const TempDir dir;
  CHECK(run_tool(
            {"run", "-w", "1", "--tier-check", "off", "--layout", "flat", dir.path(), "--", "true"},
            {.environment = {{"GREX_LOCK_TIMEOUT", "soon"}, {"GREX_LOCK_TIER_CHECK", "x"}, {"GREX_LOCK_LAYOUT", "x"}}})
            .ended == exited(0));
}

TEST_CASE("a PATH that is missing or a file is not found") {
  const TempDir dir;
  write_file(dir / "file", "");
  for (const char* const command : {"probe", "status", "tiers"}) {
    const Finished missing = run_tool({command, dir / "none"});
    CHECK(missing.ended == exited(66));
    CHECK(missing.err == "grex-lock: not found: " + (dir / "none") + ": no such directory\n");
    const Finished file = run_tool({command, dir / "file"});
    CHECK(file.ended == exited(66));
    CHECK(file.err.starts_with("grex-lock: not a directory: " + (dir / "file") + "\n"));
  }
  CHECK(run_tool({"run", "--create", dir / "file/below", "--", "true"}).ended == exited(66));
}

TEST_CASE("with --json, run reports errors in a line on stderr, other commands on stdout") {
  const TempDir dir;
  const Finished run = run_tool({"--json", "run", dir / "none", "--", "true"});
  CHECK(run.out.empty());
  const json error = json::parse(run.err);
  CHECK(error["verb"] == "run");
  CHECK(error["exit_code"] == 66);
  CHECK(error["error"]["kind"] == "not-found");
  CHECK(error["error"]["errno"] == "ENOENT");
  CHECK(error["error"]["path"] == dir / "none");
  CHECK(error["error"]["message"].is_string());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_FALSE(error.contains("status"));

  const Finished status = run_tool({"status", "--json", dir / "none"});
  CHECK(status.err.empty());
  CHECK(json::parse(status.out)["verb"] == "status");
  CHECK(json::parse(run_tool({"probe", "--json", "-w"}).out)["error"]["kind"] == "usage");
  CHECK(json::parse(run_tool({"--json", "lock"}).out)["verb"] == "lock");
  CHECK(json::parse(run_tool({"--json"}).out)["error"]["kind"] == "usage");
  for (const char* const word : {"--json=true", "--json=", "--json=false"}) {
    CHECK(json::parse(run_tool({"probe", word, dir / "none"}).out)["error"]["message"] ==
          "usage: --json takes no value");
  }
}

// SECURITY.md: leave no descriptors, no memory, no processes, or limit file sizes | the documented exit code; a command
// never runs without its lock
TEST_CASE("every kind of error that a test can cause has its name and code") {
  const TempDir dir;
  // Checks the exit status, and the one in the document; returns the kind of error.
  const auto kind_of = [](int code, const Words& words, const Setup& setup = {}) {
    const Finished finished = finish(words, setup);
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(code));
    const json document = json::parse(finished.err);
    CHECK(document["exit_code"] == code);
    return document["error"]["kind"].get<std::string>();
  };
  const std::string& d = dir.path();
  CHECK(kind_of(127, grex_lock({"--json", "run", d, "--", "/none"})) == "exec");
  dir.make("app/.grex-lock");
  CHECK(kind_of(77, grex_lock({"--json", "run", dir / "app", "--", "true"})) == "unsafe-file");
  const Stranger stranger(dir / ".grex-lock");
  CHECK(kind_of(75, grex_lock({"--json", "run", "-n", d, "--", "true"})) == "busy");
  CHECK(kind_of(75, grex_lock({"--json", "run", "-q", "-w", "1ms", d, "--", "true"})) == "timeout");
  const std::string b = dir.make("b");
  CHECK(kind_of(75, grex_lock({"run", b, "--", grex_lock(), "--json", "run", b, "--", "true"})) == "reentry");
  CHECK(kind_of(76, grex_lock({"run", b, "--", grex_lock(), "--json", "run", d, "--", "true"})) == "tier-violation");
  CHECK(kind_of(64, grex_lock({"--json", "run", d})) == "usage");
  CHECK(kind_of(65, grex_lock({"--json", "run", d, "--", "true"}), {.environment = {{"GREX_LOCK_STACK", "x"}}}) ==
        "stack");
  CHECK(kind_of(66, grex_lock({"--json", "run", dir / "none", "--", "true"})) == "not-found");
  CHECK(kind_of(74, grex_lock({"--json", "hold", b}),
                {.before_exec = [] { ::dup2(::open("/dev/full", O_WRONLY), 1); }}) == "io");
  ::chmod(d.c_str(), 0755);
  ::chmod(b.c_str(), 0555);
  CHECK(kind_of(73, grex_lock({"--json", "run", "-t", "workspace-sync", b, "--", "true"}), as_nobody()) == "create");
  write_file(b + "/.grex-lock", "");
  ::chmod((b + "/.grex-lock").c_str(), 0);
  CHECK(kind_of(77, grex_lock({"--json", "run", b, "--", "true"}), as_nobody()) == "permission");
  ::chmod(b.c_str(), 0755);
  ::chmod((b + "/.grex-lock").c_str(), 0644);

  Process waiter(grex_lock({"--json", "run", d, "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  waiter.signal(SIGTERM);
  const json cancelled = json::parse(waiter.error_rest());
  CHECK(cancelled["error"]["kind"] == "cancelled");
  CHECK(cancelled["exit_code"] == 143);

  const Finished system = run_tool({"--json", "run", b, "--", "true"},
                                   {.environment = without_leak_check, .before_exec = [] {
                                      ::closefrom(3);
                                      const rlimit one = {4, 4};  // enough for the directory, but not the lock file
                                      ::setrlimit(RLIMIT_NOFILE, &one);
                                    }});
  CHECK(system.ended == exited(71));
  CHECK(json::parse(system.err)["error"]["kind"] == "system");
  CHECK(json::parse(system.err)["error"]["errno"] == "EMFILE");
}

// SECURITY.md: leave no descriptors, no memory, no processes, or limit file sizes | the documented exit code; a command
// never runs without its lock
TEST_CASE("if fork fails, the exit status is 71 and the lock is free") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  // The limit does not apply to root. If the new user had a process already, as `nobody`
  // has in other tests, exec itself would fail (execve(2), EAGAIN): so a user of our own.
  const auto user = 100'000 + static_cast<unsigned>(::getpid());
  const Finished refused = run_tool({"run", "--json-status-fd", "1", dir.path(), "--", "true"},
                                    {.environment = without_leak_check, .before_exec = [user] {
                                       const rlimit none = {0, 0};
                                       ::setrlimit(RLIMIT_NPROC, &none);
                                       if (::geteuid() == 0 && (::setgid(user) != 0 || ::setuid(user) != 0)) ::_exit(2);
                                     }});
  CHECK(refused.ended == exited(71));
  CHECK(refused.err == "grex-lock: the system refused: Resource temporarily unavailable (fork)\n");
  // At the end of the process, the kernel would unlock anyway: it was unlocked before.
  CHECK(names_of(events_in(refused.out)) == Words{"acquired", "released", "failed"});
}

// SECURITY.md: leave no descriptors, no memory, no processes, or limit file sizes | the documented exit code; a command
// never runs without its lock
TEST_CASE("a thread that runs out of memory while it names the holder doesn't end the process") {
  if (is_sanitized()) return skip("a sanitizer needs more memory than any limit");
  const TempDir dir;
  // A command line that needs more memory than all else.
  Words holding = {"flock", dir / ".grex-lock", "sh", "-c", "echo ready; read line; exit 0"};
  holding.insert(holding.end(), 30'000, "x");
  Process holder(holding);
  holder.line();
  const auto run_with = [&dir](rlim_t memory) {
    return run_tool({"run", "-w", "1ms", dir.path(), "--", "true"}, {.before_exec = [memory] {
                      const rlimit stack = {256UL * 1024, 256UL * 1024};  // that of a thread, too
                      const rlimit all = {memory, memory};
                      ::setrlimit(RLIMIT_STACK, &stack);
                      ::setrlimit(RLIMIT_AS, &all);
                    }});
  };
  constexpr rlim_t step = 16UL * 1024;
  rlim_t too_little = 0;
  rlim_t enough = 1UL * 1024 * 1024 * 1024;
  while (enough - too_little > step) {
    const rlim_t middle = (too_little + enough) / 2;
    (run_with(middle).ended == exited(75) ? enough : too_little) = middle;
  }
  int unnamed = 0;
  for (int i = -20; i < 20; ++i) {
    const Finished finished = run_with(enough + i * step);
    CHECK(finished.err.find("bad_alloc") == std::string::npos);
    if (finished.err.find("its holder could not be read") == std::string::npos) continue;
    CHECK(finished.ended == exited(75));
    ++unnamed;
  }
  CHECK(unnamed > 0);
  holder.close_input();
  CHECK(holder.wait() == exited(0));
}

// SECURITY.md: put escapes for the terminal into a note, a command or a path | shown as `\x1b` and the like, also
// characters that change the direction of a line
TEST_CASE("a message stays one line for any path") {
  const TempDir dir;
  const Finished finished = run_tool({"probe", dir / "a\nb\x1b[31m\xff"});
  CHECK(finished.err == "grex-lock: not found: " + dir.path() + "/a\\nb\\x1b[31m\\xff: no such directory\n");
}

// SECURITY.md: run a command with the rights of a copy of grex-lock that is set-user-ID, set-group-ID or has file
// capabilities | refused, 77, before anything is read from the environment
TEST_CASE("a copy with a set-user-ID or set-group-ID bit or with file capabilities refuses to run") {
  if (is_sanitized()) return skip("LeakSanitizer may not trace such a program");
  if (!can_become_others()) return;
  const TempDir dir;
  REQUIRE(::chmod(dir.path().c_str(), 0777) == 0);
  struct statvfs fs {};
  REQUIRE(::statvfs(dir.path().c_str(), &fs) == 0);
  if ((fs.f_flag & ST_NOSUID) != 0 || ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 0) {
    skip("programs get no rights from their files here");
    return;
  }
  const std::string copy = dir / "grex-lock";
  std::filesystem::copy_file(grex_lock(), copy);
  Setup nobody = as_nobody();
  nobody.directory = dir.path();
  nobody.environment = {{"GREX_LOCK_STACK", "no stack"}, {"GREX_LOCK_TIMEOUT", "never"}};
  const auto refuses = [&] {
    const Finished run = finish({copy, "run", "--create", dir / "new", "--", "touch", dir / "ran"}, nobody);
    CHECK(run.ended == exited(77));
    CHECK(run.err.starts_with("grex-lock: no permission: "));
    CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 2);
    const Finished status = finish({copy, "status", "--json"}, nobody);
    CHECK(status.ended == exited(77));
    CHECK(json::parse(status.out)["error"]["kind"] == "permission");
    CHECK(finish({copy, "--version"}, nobody).ended == exited(77));
    CHECK_FALSE(exists(dir / "new"));
    CHECK_FALSE(exists(dir / "ran"));
  };
  REQUIRE(::chmod(copy.c_str(), 04755) == 0);
  refuses();
  REQUIRE(::chmod(copy.c_str(), 02755) == 0);
  refuses();
  REQUIRE(::chmod(copy.c_str(), 0755) == 0);
  struct vfs_cap_data capabilities = {.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE, .data = {}};
  capabilities.data[0].permitted = 1U << CAP_DAC_OVERRIDE;
  if (::setxattr(copy.c_str(), "security.capability", &capabilities, sizeof capabilities, 0) == 0) {
    refuses();
    REQUIRE(::removexattr(copy.c_str(), "security.capability") == 0);
  }
  CHECK(finish({copy, "--version"}, nobody).ended == exited(0));
  // Root itself is not refused: it gets no rights from the file.
  REQUIRE(::chmod(copy.c_str(), 04755) == 0);
  CHECK(finish({copy, "--version"}).ended == exited(0));
}

TEST_CASE("on an older kernel, locks are taken and waited for, and what needs a missing call fails cleanly") {
  const TempDir dir;
  const std::vector<long> newer = {SYS_pidfd_open, SYS_pidfd_send_signal, SYS_close_range, SYS_pwritev2, SYS_statx};
  const Setup older = without(newer, dir.path());
  if (run_tool({"--version"}, older).ended == exited(77)) {
    skip("seccomp(2) is missing");
    return;
  }
  CHECK(run_tool({"run", ".", "--", "true"}, older).ended == exited(0));
  CHECK(run_tool({"wait", "."}, older).ended == exited(0));
  CHECK(run_tool({"probe", "."}, older).ended == exited(0));
  CHECK(run_tool({"hold", "--for", "1ms", "."}, older).ended == exited(0));
  CHECK(run_tool({"hold", "--while-pid", "1", "."}, older).ended == exited(71));
  const Finished hold = run_tool({"hold", "--detach", "."}, older);
  CHECK(hold.ended == exited(0));
  const pid_t holder = std::stoi(hold.out.substr(sizeof "pid"));
  CHECK(run_tool({"run", "-n", ".", "--", "true"}, older).ended == exited(75));
  CHECK(run_tool({"run", "-w", "1ms", ".", "--", "true"}, older).ended == exited(75));
  const json locks = json::parse(run_tool({"status", "--json", "."}, older).out)["locks"];
  CHECK(locks[2]["state"] == "held");
  CHECK(run_tool({"release", "."}, older).ended == exited(69));
  CHECK(run_tool({"release", "."}, without({SYS_pidfd_send_signal}, dir.path())).ended == exited(71));
  reap(holder, SIGTERM);
  CHECK_FALSE(is_locked(dir / ".grex-lock"));
}
