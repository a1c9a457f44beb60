// What differs between shells: how they quote, and which descriptors they pass on.

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// Characters with a meaning in some shell, and bytes that are not UTF-8.
constexpr const char* awkward_name =
    "it's \"x\" $HOME `id` \\ \\\\ !! %s\n;exit 9;  {a,b} [c] ~ * ? #&|<>()^\t\x7f\xff";

bool is_installed(const std::string& program) {
  if (finish({"sh", "-c", "command -v \"$0\"", program}).ended == exited(0)) return true;
  skip("there is no " + program);
  return false;
}

// The two files of the lock, live.
pid_t check_stack(const std::string& document) {
  const json entries = json::parse(document)["entries"];
  REQUIRE(entries.size() == 2);
  CHECK(entries[0]["live"] == true);
  CHECK(entries[1]["live"] == true);
  return entries[0]["pid"];
}

// Runs a script that holds the lock until its input ends, and prints what status a
// grex-lock gets, and the stack.
void check_hold(const Words& script, const std::string& pack) {
  Process shell(script, in(pack));
  CHECK(shell.line() == "75");
  const pid_t holder = check_stack(shell.line());
  shell.close_input();
  shell.wait();
  reap(holder);
}

std::string second_line(const std::string& text) {
  const auto end = text.find('\n');
  return end == std::string::npos ? std::string() : text.substr(end + 1);
}

}  // namespace

// SECURITY.md: use a path that is shell code, in the output of `--export` | it is quoted, and what some shell changes
// within quotes is escaped in the JSON
TEST_CASE("a shell can eval an exported stack, whatever the path") {
  for (const std::string shell : {"bash", "dash", "zsh", "mksh", "ksh93"}) {
    CAPTURE(shell);
    if (!is_installed(shell)) continue;
    const TempDir dir;
    const std::string pack = dir.make(awkward_name);
    const std::string ask = "\"$LOCK\" run -n . -- true; echo $?; \"$LOCK\" stack --json; ";
    check_hold({shell, "-c",
                "s=$(\"$LOCK\" hold --detach --export --while-pid $$ .) || exit; eval \"$s\" || exit\n" + ask +
                    "read -r line"},
               pack);
    const Finished fd = finish({shell, "-c",
                                "exec 9>>.grex-lock\ns=$(\"$LOCK\" fd --export 9 9>&9) || exit; eval \"$s\" || exit\n"
                                "\"$LOCK\" run -n . -- true; echo $?; \"$LOCK\" run --reentrant . -- echo again\n"
                                "s=$(\"$LOCK\" fd -u --export 9 9>&9); eval \"$s\"; echo \"[$GREX_LOCK_STACK]\""},
                               in(pack));
    CHECK(fd.out == "75\nagain\n[]\n");
  }
}

// SECURITY.md: use a path that is shell code, in the output of `--export` | it is quoted, and what some shell changes
// within quotes is escaped in the JSON
TEST_CASE("fish can eval an exported stack, whatever the path") {
  if (!is_installed("fish")) return;
  const TempDir dir;
  const std::string pack = dir.make(awkward_name);
  const std::string ask = "$LOCK run -n . -- true; echo $status; $LOCK stack --json; ";
  check_hold(
      {"fish", "--no-config", "-c",
       "set s ($LOCK hold --detach --export --while-pid $fish_pid .); or exit; eval $s; or exit\n" + ask + "read line"},
      pack);
  // fish opens it for a block, and passes it on to pipelines, but not to command substitutions.
  // Without UTF-8, it can't redirect to a relative path in a directory of such a name.
  Setup setup = in(pack);
  setup.environment["LC_ALL"] = "C.UTF-8";
  const Finished fd = finish({"fish", "--no-config", "-c",
                              "begin; $LOCK fd --export 9 | source; " + ask +
                                  "$LOCK fd -u --export 9 | source; echo \"[$GREX_LOCK_STACK]\"; end 9>>.grex-lock"},
                             setup);
  CHECK(fd.out.starts_with("75\n"));
  CHECK(fd.out.ends_with("\n[]\n"));
}

// csh has no `export`, and takes `!` for its own even within single quotes.
//
// SECURITY.md: use a path that is shell code, in the output of `--export` | it is quoted, and what some shell changes
// within quotes is escaped in the JSON
TEST_CASE("csh can eval an exported stack with an alias, whatever the path") {
  if (!is_installed("tcsh")) return;
  const TempDir dir;
  const std::string pack = dir.make(awkward_name);
  const std::string script =
      "alias export 'setenv \\!:1:s/=/ /'\n"
      "set s = \"`$LOCK:q hold --detach --export --while-pid $$ .`\" || exit $status\n"
      "eval \"$s\" || exit\n"
      "$LOCK:q run -n . -- true\necho $status\n$LOCK:q stack --json\nset line = \"$<\"";
  check_hold({"tcsh", "-f", "-c", script}, pack);
}

TEST_CASE("the line to try can be pasted into a shell, whatever the path") {
  for (const std::string shell : {"bash", "zsh", "mksh", "ksh93"}) {
    CAPTURE(shell);
    if (!is_installed(shell)) continue;
    const TempDir dir;
    write_file(dir.make(awkward_name) + "/.grex-lock", "");
    const Finished refused = run_tool({"run", std::string(awkward_name) + "/.grex-lock", "--", "echo",
                                       "\n\xff"
                                       "f"},
                                      in(dir.path()));
    const std::string start = "grex-lock: try: grex-lock ";
    const std::string hint = second_line(refused.err);
    REQUIRE(hint.starts_with(start));
    CHECK(finish({shell, "-c", "\"$LOCK\" " + hint.substr(start.size())}, in(dir.path())).out ==
          "\n\xff"
          "f\n");
  }
}

TEST_CASE("the stack of run reaches a grex-lock through every shell, whatever the path") {
  for (const std::string shell : {"bash", "dash", "zsh", "mksh", "ksh93", "fish", "tcsh"}) {
    CAPTURE(shell);
    if (!is_installed(shell)) continue;
    const TempDir dir;
    const Finished run =
        finish(grex_lock({"run", ".", "--", shell, "-c", "$LOCK stack --json; true"}), in(dir.make(awkward_name)));
    CHECK(run.ended == exited(0));
    check_stack(run.out);
  }
}

TEST_CASE("if a shell does not pass a descriptor on, the hint is the command that works") {
  const TempDir dir;
  const std::string hint = "grex-lock: the shell has it open, but does not pass it on: grex-lock fd 8 9 8>&8 9>&9\n";
  const std::string files = "exec 8>>.grex-lock 9>>.grex.sync.lock\n";
  for (const std::string shell : {"mksh", "ksh93"}) {
    CAPTURE(shell);
    if (!is_installed(shell)) continue;
    const Finished refused = finish({shell, "-c", files + "\"$LOCK\" fd 8 9; exit $?"}, in(dir.path()));
    CHECK(refused.ended == exited(64));
    CHECK(refused.err == "grex-lock: usage: descriptor 8 is not open\n" + hint);
    const Finished locked = finish({shell, "-c",
                                    files + "\"$LOCK\" fd -q 8 9 8>&8 9>&9; echo $?; \"$LOCK\" fd -u 9; echo $?\n"
                                            "\"$LOCK\" fd -u 9 9>&9; echo $?; \"$LOCK\" probe -q .; echo $?"},
                                   in(dir.path()));
    CHECK(locked.out == "0\n64\n0\n75\n");
    CHECK(locked.err ==
          "grex-lock: usage: descriptor 9 is not open\n"
          "grex-lock: the shell has it open, but does not pass it on: grex-lock fd -u 9 9>&9\n");
    const Finished events = finish({shell, "-c",
                                    "exec 7>>events; \"$LOCK\" run --json-status-fd 7 . -- true; echo $?\n" +
                                        std::string("\"$LOCK\" run --json-status-fd 7 . -- true 7>&7; echo $?")},
                                   in(dir.path()));
    CHECK(events.out == "64\n0\n");
    CHECK(second_line(events.err) == "grex-lock: the shell has it open, but does not pass it on: add 7>&7\n");
  }
  // The same without these shells.
  const Finished refused = finish({"python3", "-c",
                                   "import os, subprocess\n"
                                   "for n in 8, 9: os.dup2(os.open('file', os.O_CREAT | os.O_RDWR), n, False)\n"
                                   "subprocess.call([os.environ['LOCK'], 'fd', '8', '9'], close_fds=False)"},
                                  in(dir.path()));
  CHECK(refused.err == "grex-lock: usage: descriptor 8 is not open\n" + hint);
}
