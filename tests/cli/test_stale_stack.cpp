// Entries of the tier stack that outlive their lock, or that can't be proved. Under none of
// them does a command run without a lock.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

std::uint64_t boot_clock_now() {
  struct timespec now {};
  REQUIRE(::clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// An entry for a lock file, as grex-lock writes it.
json entry(const std::string& path, pid_t pid) {
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  return {{"tier", "per-pack"}, {"path", path},        {"dev", st.st_dev},         {"ino", st.st_ino},
          {"pid", pid},         {"mode", "exclusive"}, {"taken", boot_clock_now()}};
}

std::string stack_of(const json& only) { return json::array({only}).dump(); }

// The stack that a script has at its end.
std::string stack_after(const TempDir& dir, const std::string& script) {
  return finish(bash(script + "\necho \"$GREX_LOCK_STACK\""), in(dir.path())).out;
}

// The stack of a hold that has ended, but that is a zombie until it is reaped.
std::string stack_of_hold(const TempDir& dir, const std::string& options, const std::string& ending) {
  const std::string stack =
      stack_after(dir, "s=$(\"$LOCK\" hold --detach --export " + options + " .) || exit\n" + "eval \"$s\"; " + ending);
  const pid_t hold = json::parse(stack)[0]["pid"];
  until([hold] { return state_of(hold) == 'Z'; });
  return stack;
}

// A stranger that has the lock, with its own record or none.
Process stranger(const TempDir& dir) {
  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo in; read line"}));
  REQUIRE(run.line() == "in");
  return run;
}

// Runs a script in a mount namespace with an overlay, whose files may have devices that no mount has.
Finished beside_overlay(const TempDir& dir, const std::string& script) {
  dir.make("lower");
  dir.make("upon");
  return finish({"unshare", "--user", "--map-root-user", "--mount", "bash", "-c",
                 "mount -t overlay overlay -o lowerdir=lower:upon upon || exit 77\n" + script},
                in(dir.path()));
}

// Nothing else than a lock of another process: --reentrant waits for it.
void check_waits(const TempDir& dir, const std::string& stack, Process& holder) {
  const Setup setup = with_stack(stack);
  for (const char* const option : {"--reentrant", "-v"}) {
    const Finished busy = run_tool({"run", "-n", option, dir.path(), "--", "echo", "ran"}, setup);
    CHECK(busy.ended == exited(75));
    CHECK(busy.out.empty());
    CHECK(busy.err.find("held by ") != std::string::npos);
    CHECK(busy.err.find("an ancestor seems") == std::string::npos);
    CHECK(busy.err.find("already held") == std::string::npos);
  }
  CHECK(json::parse(run_tool({"stack", "--json"}, setup).out)["entries"][0]["live"] == false);
  // Not 76: another pack has nothing to do with it.
  const TempDir other;
  CHECK(run_tool({"run", other.path(), "--", "true"}, setup).ended == exited(0));

  Process waiter(grex_lock({"run", "--reentrant", dir.path(), "--", "echo", "ran"}), setup);
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  holder.close_input();
  CHECK(waiter.line() == "ran");
  CHECK(waiter.wait() == exited(0));
}

void check_waits_for_stranger(const TempDir& dir, const std::string& stack) {
  CAPTURE(stack);
  Process holder = stranger(dir);
  check_waits(dir, stack, holder);
}

// Both as long as the hold is a zombie, and then.
void check_waits_after_hold(const TempDir& dir, const std::string& stack) {
  check_waits_for_stranger(dir, stack);
  reap(json::parse(stack)[0]["pid"]);
  check_waits_for_stranger(dir, stack);
}

// That --reentrant neither goes on nor waits.
void check_refused(const Finished& refused, const std::string& path) {
  CHECK(refused.ended == exited(75));
  CHECK(refused.out.empty());
  CHECK(refused.err.starts_with("grex-lock: busy: " + path + ": an ancestor seems to hold it\n"));
  CHECK(refused.err.ends_with("grex-lock: --reentrant needs an open descriptor as proof; if this script took the " +
                              std::string("lock, by 'grex-lock hold', run the command without grex-lock\n")));
}

}  // namespace

TEST_CASE("after the end of a hold --export, --reentrant waits for the next holder") {
  const TempDir dir;
  check_waits_after_hold(dir, stack_of_hold(dir, "--for 10ms", ":"));
  check_waits_after_hold(dir, stack_of_hold(dir, "--shared --for 10ms", ":"));
}

TEST_CASE("after release, --reentrant waits for the next holder") {
  const TempDir dir;
  check_waits_after_hold(dir, stack_of_hold(dir, "", "env -u GREX_LOCK_STACK \"$LOCK\" release ."));
}

TEST_CASE("after the descriptor of fd --export is closed, --reentrant waits for the next holder") {
  const TempDir dir;
  const std::string lock = "exec 9>>.grex-lock; s=$(\"$LOCK\" fd --export 9) || exit; eval \"$s\"; ";
  check_waits_for_stranger(dir, stack_after(dir, lock + "exec 9>&-"));
  check_waits_for_stranger(dir, stack_after(dir, lock + "flock -u 9"));
}

TEST_CASE("after a command that exits with 143, --reentrant waits for the next holder") {
  const TempDir dir;
  check_waits_for_stranger(dir, stack_after(dir, "\"$LOCK\" run . -- sh -c 'echo \"$GREX_LOCK_STACK\"; exit 143'"));
}

TEST_CASE("a daemon that was started under a lock waits for the next holder once it is released") {
  const TempDir dir;
  Process daemon(bash("\"$LOCK\" run . -- sh -c '{ read line; \"$LOCK\" stack --json\n"
                      "\"$LOCK\" run -n --reentrant . -- echo ran; echo $?; } <&3 &' 3<&0; echo released; wait"),
                 in(dir.path()));
  CHECK(daemon.line() == "released");
  const Process holder = stranger(dir);
  daemon.write("\n");
  CHECK(json::parse(daemon.line())["entries"][0]["live"] == false);
  CHECK(daemon.line() == "75");
}

TEST_CASE("an entry whose process is a zombie is stale beside a sharer of the lock") {
  const TempDir dir;
  Process zombie({"true"});
  until([&zombie] { return state_of(zombie.pid()) == 'Z'; });
  Process sharer({"flock", "-s", dir / ".grex-lock", "sh", "-c", "echo in; read line"});
  sharer.line();
  check_waits(dir, stack_of(entry(dir / ".grex-lock", zombie.pid())), sharer);
}

TEST_CASE("an entry whose number a later process has is stale, even if that has taken the lock") {
  for (const bool has_record : {true, false}) {
    const TempDir dir;
    Process holder(has_record ? grex_lock({"run", dir.path(), "--", "sh", "-c", "echo in; read line"})
                              : Words{"flock", dir / ".grex-lock", "sh", "-c", "echo in; read line"});
    holder.line();
    json reused = entry(dir / ".grex-lock", holder.pid());
    reused["taken"] = 1;
    check_waits(dir, stack_of(reused), holder);
  }
}

TEST_CASE("an entry on a device that is not mounted here refuses nothing") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  json elsewhere = entry(dir / ".grex-lock", ::getpid());
  elsewhere["dev"] = 0xffffffff;
  const json shown = json::parse(run_tool({"stack", "--json"}, with_stack(stack_of(elsewhere))).out)["entries"][0];
  // Not if subvolumes or layers may have devices that are in no list.
  const std::string mounts = content_of("/proc/self/mountinfo");
  for (const char* const type : {" btrfs ", " overlay ", " bcachefs ", " aufs "}) {
    if (mounts.find(type) != std::string::npos) return skip("a file may be on a device that no mount shows");
  }
  CHECK(shown["live"] == false);
}

// A script in a PID namespace in which a hold has ended and a stranger has the lock. Up to
// a clock tick after the namespace's start, entries might come from outside.
Process in_namespace(const TempDir& dir, const Words& options, const std::string& script) {
  const Words shell = bash(
      "sleep 0.03; s=$(\"$LOCK\" hold --detach --export --for 10ms .) || exit; \"$LOCK\" wait . || exit\n"
      "mkfifo go; \"$LOCK\" run . -- sh -c 'echo in; read -r line <go' & read -r line; eval \"$s\"\n" +
      script);
  Words words = {"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), shell.begin(), shell.end());
  Process inside(words, in(dir.path()));
  CHECK(inside.line() == "in");
  inside.write("\n");
  return inside;
}

TEST_CASE("inside a PID namespace, with its own /proc or that outside, --reentrant waits for the next holder") {
  for (const bool has_own_proc : {true, false}) {
    if (!has_own_proc && is_sanitized()) continue;  // a sanitizer's own start needs that /proc
    CAPTURE(has_own_proc);
    const TempDir dir;
    dir.make("other");
    Process inside = in_namespace(dir, has_own_proc ? Words{"--mount-proc"} : Words{},
                                  "\"$LOCK\" run -n --reentrant . -- echo ran; echo $?\n"
                                  "\"$LOCK\" run other -- true; echo $?\n"
                                  "\"$LOCK\" run --reentrant . -- echo ran & read -r line; echo >go; wait $!; echo $?");
    CHECK(inside.line() == "75");
    CHECK(inside.error_line().find("an ancestor") == std::string::npos);
    CHECK(inside.line() == "0");
    until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
    inside.write("\n");
    CHECK(inside.line() == "ran");
    CHECK(inside.line() == "0");
  }
}

TEST_CASE("a lock taken outside a PID namespace is never proved or stale by a number inside") {
  const TempDir dir;
  // The entry's number is free inside, or that of a process that has nothing to do with it.
  for (const pid_t number : {1, 2, 12345}) {
    const Process holder = stranger(dir);
    const std::string stack = stack_of(entry(dir / ".grex-lock", number));
    for (const char* const proc : {"--mount-proc", "--fork"}) {
      const Finished inside = finish({"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", proc,
                                      grex_lock(), "run", "--reentrant", dir.path(), "--", "echo", "ran"},
                                     with_stack(stack));
      check_refused(inside, dir / ".grex-lock");
    }
  }
}

TEST_CASE("a lock that strangers take for a moment is never taken for that of an ancestor") {
  const TempDir dir;
  const std::string stack = stack_of_hold(dir, "--for 10ms", ":");
  reap(json::parse(stack)[0]["pid"]);
  Process strangers({"sh", "-c", "echo; while :; do flock \"$0\" true; done", dir / ".grex-lock"});
  strangers.line();
  for (int i = 0; i < tries(60); ++i) {
    const Finished run = run_tool({"run", "-v", "--reentrant", dir.path(), "--", "true"}, with_stack(stack));
    CHECK(run.ended == exited(0));
    CHECK(run.err.find("locked " + (dir / ".grex-lock")) != std::string::npos);
  }
}

TEST_CASE("after grex-lock was killed, its command goes on, and a process that is not below it does not") {
  const TempDir dir;
  Process killed(grex_lock({"run", dir.path(), "--", "sh", "-c",
                            "echo \"$GREX_LOCK_STACK\"; read line; \"$0\" run --reentrant . -- echo ran", grex_lock()}),
                 in(dir.path()));
  const std::string stack = killed.line();
  killed.signal(SIGKILL);
  until([&killed] { return state_of(killed.pid()) == 'Z'; });
  // A zombie first, and then gone.
  for (int i = 0; i < 2; ++i) {
    check_refused(run_tool({"run", "--reentrant", dir.path(), "--", "echo", "ran"}, with_stack(stack)),
                  dir / ".grex-lock");
    CHECK(run_tool({"stack"}, with_stack(stack)).out.ends_with("  (not proved)\n"));
    if (i == 0) killed.wait();
  }
  killed.write("\n");
  CHECK(killed.line() == "ran");
}

TEST_CASE("a hold that is no ancestor is refused at once, and never goes on without its lock") {
  const TempDir dir;
  Process script(bash("s=$(\"$LOCK\" hold --detach --export --while-pid $$ .) || exit; eval \"$s\"\n"
                      "for c in run hold wait probe; do \"$LOCK\" $c --reentrant . $([ $c = run ] && echo -- true)\n"
                      "echo $?; done; exec 9>>.grex-lock; \"$LOCK\" fd --reentrant 9; echo $?\n"
                      "\"$LOCK\" run . -- true; echo $?; \"$LOCK\" stack --json; read -r line; exit 0"),
                 in(dir.path()));
  for (const char* const command : {"run", "hold", "wait", "probe", "fd"}) {
    CAPTURE(command);
    CHECK(script.line() == "75");
    CHECK(script.error_line() == "grex-lock: busy: " + (dir / ".grex-lock") + ": an ancestor seems to hold it");
    script.error_line();
  }
  CHECK(script.line() == "75");
  CHECK(script.error_line().find(" (from GREX_LOCK_STACK)") != std::string::npos);
  const json shown = json::parse(script.line())["entries"][0];
  CHECK(shown["live"] == true);
  CHECK(shown["proved"] == false);
  script.close_input();
  CHECK(script.wait() == exited(0));
  reap(shown["pid"]);
}

TEST_CASE("a process that runs looks like the one that took the lock from any time namespace") {
  const TempDir dir;
  const Process holder = stranger(dir);
  const std::string stack = stack_of(entry(dir / ".grex-lock", holder.pid()));
  for (const char* const offset : {"1000000", "-1"}) {
    const Finished shown =
        finish({"unshare", "--user", "--map-root-user", "--time", "--boottime", offset, "--fork", grex_lock(), "stack"},
               with_stack(stack));
    if (shown.ended != exited(0)) return skip("no time namespace can be made");
    CHECK(shown.out.ends_with("  (not proved)\n"));
  }
}

TEST_CASE("under --close, an ancestor's descriptor proves the lock") {
  const TempDir dir;
  const std::string under =
      "\"$LOCK\" run --close . -- sh -c '\"$LOCK\" run --reentrant . -- echo ran; \"$LOCK\" stack --json'";
  const Finished nested = finish(bash(under), in(dir.path()));
  CHECK(nested.out.starts_with("ran\n"));
  CHECK(json::parse(nested.out.substr(4))["entries"][0]["proved"] == true);
}

TEST_CASE("what a descriptor proves is known without the kernel's list of locks") {
  const TempDir dir;
  // Opening the FIFO to read it would never end.
  const std::string script =
      "mkfifo list && mount --bind list /proc/locks || exit 77\n"
      "\"$LOCK\" run . -- \"$LOCK\" run --reentrant . -- echo inherited\n"
      "\"$LOCK\" run --close . -- \"$LOCK\" run --reentrant . -- echo open in an ancestor";
  const Words shell = bash(script);
  Words words = {"unshare", "--user", "--map-root-user", "--mount"};
  words.insert(words.end(), shell.begin(), shell.end());
  const Finished finished = finish(words, in(dir.path()));
  if (finished.ended == exited(77)) return skip("nothing can be mounted on /proc/locks");
  CHECK(finished.out == "inherited\nopen in an ancestor\n");
}

TEST_CASE("if the descriptors of ancestors can't be read, their lock is not proved") {
  if (!can_become_others()) return;
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  REQUIRE(::chmod((dir / ".grex-lock").c_str(), 0666) == 0);
  const auto as_other = [&dir](const Words& words) {
    Words all =
        grex_lock({"run", "--close", dir.path(), "--", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
    all.insert(all.end(), words.begin(), words.end());
    return finish(all);
  };
  check_refused(as_other(grex_lock({"run", "--reentrant", dir.path(), "--", "echo", "ran"})), dir / ".grex-lock");
  const Finished plain = as_other(grex_lock({"run", dir.path(), "--", "echo", "ran"}));
  CHECK(plain.ended == exited(75));
  CHECK(plain.err.find(": already held by pid ") != std::string::npos);
}

TEST_CASE("a descriptor's lock that became shared doesn't stand for the exclusive one of its entry") {
  const TempDir dir;
  const Finished script =
      finish(bash("exec 9<>.grex-lock; s=$(\"$LOCK\" fd --export 9) || exit; eval \"$s\"; \"$LOCK\" fd -s 9\n"
                  "\"$LOCK\" run --reentrant . -- echo ran; echo $?; \"$LOCK\" run -s --reentrant . -- echo shared"),
             in(dir.path()));
  CHECK(script.out == "75\nshared\n");
  CHECK(script.err.find(" holds only a shared lock\n") != std::string::npos);
}

TEST_CASE("an entry whose device is in no mount is dropped, also beside mounts whose files have other devices") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  write_file(dir / "file", "");
  const auto run_under = [&](std::uint64_t device) {
    json gone = entry(dir / "file", ::getpid());
    gone["tier"] = "manifest";
    gone["path"] = "/none/.grex/.grex.lock";
    gone["dev"] = device;
    return beside_overlay(dir, "GREX_LOCK_STACK='" + stack_of(gone) + "' \"$LOCK\" run pack -- echo ran");
  };
  const Finished of_disk = run_under(makedev(3906, 63));
  if (of_disk.ended == exited(77)) return skip("an overlay may not be mounted here");
  CHECK(of_disk.out == "ran\n");
  CHECK(of_disk.err.empty());
  // An anonymous device, as of a layer, may be that of a file. It isn't locked, which shows if
  // other locks of this machine don't make the kernel's list too long.
  until([&] { return run_under(makedev(0, 1'000'000)).out == "ran\n"; });
}

TEST_CASE("an entry of a file system that was unmounted, but is still in use, is dropped") {
  const TempDir dir;
  dir.make("pack");
  dir.make("mounted");
  const Finished finished = beside_overlay(
      dir,
      "mount -t tmpfs none mounted && s=$(\"$LOCK\" hold --detach --export -t manifest mounted) || exit\n"
      "eval \"$s\"; pid=${s#*'\"pid\":'}; pid=${pid%%,*}\n"
      "\"$LOCK\" run -q pack -- true; echo $?; umount -l mounted; \"$LOCK\" run pack -- echo ran; kill $pid");
  if (finished.ended == exited(77)) return skip("an overlay may not be mounted here");
  CHECK(finished.out == "76\nran\n");
  CHECK(finished.err.find("tier order") != std::string::npos);
  until([] { return ::waitpid(-1, nullptr, WNOHANG) < 0; });
}
