// Locks that have two files: what is taken, what stays as it is, and what is refused.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// The events that a file watcher got in a directory, without those in its subdirectories.
std::vector<std::string> changes_in(int watch) {
  std::vector<std::string> names;
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (ssize_t size = 0; (size = ::read(watch, buffer.data(), buffer.size())) > 0;) {
    for (ssize_t at = 0; at < size;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      names.emplace_back(event->len > 0 ? event->name : "");
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    }
  }
  return names;
}

Finished in_bash(const std::string& script, const TempDir& dir) { return finish(bash(script), in(dir.path())); }

}  // namespace

TEST_CASE("a job changes nothing in the pack's own directory, whatever watches or packs it") {
  const TempDir dir;
  CHECK(run_tool({"run", dir.path(), "--", "true"}).ended == exited(0));
  write_file(dir / "file", "content");
  const std::string sum = "tar --create --exclude=./.grex . | sha256sum";
  const std::string before = in_bash(sum, dir).out;
  const Fd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  REQUIRE(::inotify_add_watch(watch.get(), dir.path().c_str(),
                              IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVE) >= 0);
  const Finished job = finish(grex_lock({"run", ".", "--", "sh", "-c", sum}), {.directory = dir.path()});
  CHECK(job.out == before);
  CHECK(changes_in(watch.get()).empty());
  CHECK(in_bash(sum, dir).out == before);
  CHECK(content_of(dir / ".grex-lock").empty());
}

TEST_CASE("a record that grex-lock 0.1 left in the flat file is removed, and its stack is read") {
  const TempDir dir;
  run_tool({"run", "--layout", "flat", dir.path(), "--", "cp", dir / ".grex-lock", dir / "left"});
  write_file(dir / ".grex-lock", content_of(dir / "left"));
  CHECK(content_of(dir / ".grex-lock").starts_with("{\"pid\":"));
  // Its entries have no `taken`.
  const std::string script = "s=$(printf %s \"$GREX_LOCK_STACK\" | sed 's/,\"taken\":[0-9]*//'); GREX_LOCK_STACK=$s ";
  CHECK(run_tool({"run", "-t", "workspace-sync", "--layout", "flat", dir.path(), "--", "sh", "-c",
                  script + "exec \"$0\" run \"$1\" -- true", grex_lock(), dir.path()})
            .ended == exited(0));
  CHECK(content_of(dir / ".grex-lock").empty());
}

TEST_CASE("if one of the two files can't be had, no lock is taken, and the error says what would help") {
  const TempDir dir;
  const auto check = [&](int status, const std::string& hint) {
    for (const auto& words : {grex_lock({"run", dir.path(), "--", "echo", "ran"}), grex_lock({"hold", dir.path()})}) {
      const Finished finished = finish(words);
      CHECK(finished.ended == exited(status));
      CHECK(finished.out.empty());
      CHECK(finished.err.find(hint) != std::string::npos);
    }
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
  };
  const std::string flat_only =
      "grex-lock: if it does not belong there, remove it; or use --layout flat, which does not exclude grex 1.3.2 and "
      "later\n";
  dir.make("elsewhere");
  std::filesystem::create_symlink("elsewhere", dir / ".grex");
  check(77, flat_only);
  CHECK(std::filesystem::is_empty(dir / "elsewhere"));
  std::filesystem::remove(dir / ".grex");
  write_file(dir / ".grex", "");
  check(73, "grex-lock: cannot create: " + dir / ".grex" + ": exists, but is not a directory\n" + flat_only);
  CHECK(run_tool({"run", "--layout", "flat", dir.path(), "--", "true"}).ended == exited(0));
  std::filesystem::remove(dir / ".grex");
  std::filesystem::remove(dir / ".grex-lock");
  dir.make(".grex-lock");
  check(77, "remove it; or use --layout nested, which does not exclude grex 1.1.0 to 1.3.1\n");
  CHECK(run_tool({"run", "--layout", "nested", dir.path(), "--", "true"}).ended == exited(0));
}

TEST_CASE("under an ancestor that holds one file, --reentrant takes the other, and without it that is a re-entry") {
  const TempDir dir;
  dir.make(".grex");
  const std::string hold_flat = "exec 9>>.grex-lock; eval \"$(\"$LOCK\" fd -q --export 9)\"; ";
  const Finished reentrant = in_bash(
      hold_flat + "\"$LOCK\" run --reentrant . -- flock -n .grex/.grex-lock true; echo $?; \"$LOCK\" stack", dir);
  CHECK(reentrant.out.starts_with("1\n"));  // the nested file was locked
  CHECK(reentrant.err.empty());
  const Finished refused = in_bash(hold_flat + "\"$LOCK\" run . -- true; echo $?", dir);
  CHECK(refused.out == "75\n");
  CHECK(refused.err.find("already held by ancestor") != std::string::npos);
  // A grex of today is then excluded, too.
  const Fd other = lock_as_grex(dir / ".grex/.grex-lock");
  CHECK(in_bash(hold_flat + "\"$LOCK\" run -n --reentrant . -- true; echo $?", dir).out == "75\n");
}

TEST_CASE("under a nested file that an ancestor holds, the flat one of the same lock is refused") {
  const TempDir dir;
  const Finished finished = run_tool({"run", "--layout", "nested", dir.path(), "--", grex_lock(), "run", "--reentrant",
                                      dir.path(), "--", "echo", "ran"});
  CHECK(finished.ended == exited(76));
  CHECK(finished.out.empty());
  CHECK(finished.err.find("grex-lock: tier order: " + dir / ".grex-lock" + ": ") != std::string::npos);
  CHECK(finished.err.find("before the other file of this lock, " + dir / ".grex/.grex-lock") != std::string::npos);
  CHECK(run_tool({"run", "--layout", "nested", dir.path(), "--", grex_lock(), "run", "--layout", "nested",
                  "--reentrant", dir.path(), "--", "echo", "ran"})
            .out == "ran\n");
}

TEST_CASE("fd locks both files of a lock, and says what is not excluded if it locks one") {
  const TempDir dir;
  dir.make(".grex");
  const std::string open = "exec 8>>.grex/.grex-lock 9>>.grex-lock; ";
  const Finished both = in_bash(open + "\"$LOCK\" fd 8 9 && flock -n .grex-lock true; echo $?", dir);
  CHECK(both.out == "1\n");
  CHECK(both.err.empty());
  CHECK(in_bash(open + "\"$LOCK\" fd 8 9; \"$LOCK\" probe -q .; \"$LOCK\" fd -u 8 9 && \"$LOCK\" probe . && echo free",
                dir)
            .out == "free\n");
  const auto check = [&](const std::string& number, const std::string& releases) {
    const Finished half = in_bash(open + "\"$LOCK\" fd " + number, dir);
    CHECK(half.ended == exited(0));
    CHECK(half.err.find(": grex " + releases + " are not excluded; lock ") != std::string::npos);
    CHECK(in_bash(open + "\"$LOCK\" fd -q " + number, dir).err.empty());
  };
  check("9", "1.3.2 and later");
  check("8", "1.1.0 to 1.3.1");
  // All or none.
  const Fd other = lock_as_grex(dir / ".grex/.grex-lock");
  const Finished busy = in_bash(open + "\"$LOCK\" fd -n 8 9; echo $?; flock -n .grex-lock true; echo $?", dir);
  CHECK(busy.out == "75\n0\n");
}

TEST_CASE("fd refuses two descriptors of one file, which would wait for each other") {
  const TempDir dir;
  const Finished finished = in_bash("exec 8>>.grex-lock 9>>.grex-lock; \"$LOCK\" fd 8 9; echo $?", dir);
  CHECK(finished.out == "64\n");
  CHECK(finished.err.starts_with("grex-lock: usage: descriptors 8 and 9 have the same file open\n"));
}

TEST_CASE("a .grex that is removed while another lock is waited for is made again") {
  const TempDir dir;
  const auto [first, second] = dir.make_two();
  CHECK(run_tool({"run", first, second, "--", "true"}).ended == exited(0));
  Fd lock = lock_as_grex(first + "/.grex-lock");
  Process waiter(grex_lock({"run", first, second, "--", "flock", "-n", second + "/.grex/.grex-lock", "true"}));
  until([&path = first] { return waiters_on(path + "/.grex-lock") == 1; });
  std::filesystem::remove_all(second + "/.grex");
  lock.reset();
  CHECK(waiter.wait() == exited(1));  // flock finds it locked
}

TEST_CASE("a lock file with two names is not locked in two modes by one command") {
  const TempDir dir;
  const auto [first, second] = dir.make_two();
  dir.make("a/.grex");
  write_file(dir / "a/.grex/pack.yaml", "");
  write_file(dir / "a/.grex.sync.lock", "");
  std::filesystem::create_hard_link(dir / "a/.grex.sync.lock", dir / "b/.grex.sync.lock");
  const Finished finished = run_tool({"run", "-s", "-l", "workspace-sync:" + dir / "b", "--guard=" + dir / "a", "-l",
                                      "per-pack:" + dir / "b", "--", "true"});
  CHECK(finished.ended == exited(0));  // both are shared
}

TEST_CASE("a hold that waits for one file of a lock is not ended as its holder") {
  const TempDir dir;
  const Fd other = lock_as_grex(dir / ".grex/.grex-lock");
  Process hold(grex_lock({"hold", dir.path()}));
  until([&dir] { return waiters_on(dir / ".grex/.grex-lock") == 1; });
  const Finished released = run_tool({"release", dir.path()});
  CHECK(released.ended == exited(69));
  const json status = json::parse(run_tool({"status", "--json", dir.path()}).out);
  const json& lock = status["locks"][2];
  REQUIRE(lock["waiters"].size() == 1);
  CHECK(lock["waiters"][0]["pid"] == hold.pid());
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["pid"] == ::getpid());
  hold.signal(SIGTERM);
  hold.wait();
}

TEST_CASE("what is shown of a holder of both files is one process with its record") {
  const TempDir dir;
  Process job(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo; read -r line"}));
  job.line();
  const Finished refused = run_tool({"release", "--json", dir.path()});
  CHECK(json::parse(refused.out)["error"]["holders"][0]["note"] == "nightly");
  CHECK(refused.err.find("more") == std::string::npos);
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).err.find("[nightly]") != std::string::npos);
}

TEST_CASE("a record of 0.1 is removed after a wait, too") {
  const TempDir dir;
  run_tool({"run", "--layout", "flat", dir.path(), "--", "cp", dir / ".grex-lock", dir / "left"});
  Fd lock = lock_as_grex(dir / ".grex-lock");
  write_file(dir / ".grex-lock", content_of(dir / "left"));
  Process waiter(grex_lock({"run", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  lock.reset();
  CHECK(waiter.wait() == exited(0));
  CHECK(content_of(dir / ".grex-lock").empty());
}

TEST_CASE("a holder of one file is not reported at the other") {
  const TempDir dir;
  Process flat(grex_lock({"hold", "--layout", "flat", dir.path()}));
  flat.line();
  Process nested(grex_lock({"hold", "--layout", "nested", dir.path()}));
  nested.line();
  const std::string busy = run_tool({"run", "-n", dir.path(), "--", "true"}).err;
  CHECK(busy.find("held by pid " + std::to_string(flat.pid())) != std::string::npos);
  CHECK(busy.find("more") == std::string::npos);
  const std::string status = run_tool({"status", "-v", dir.path()}).out;
  CHECK(status.find("at " + dir / ".grex/.grex-lock") != std::string::npos);
  flat.signal(SIGTERM);
  CHECK(flat.wait() == exited(0));
  const std::string other = run_tool({"status", dir.path()}).out;
  CHECK(other.find("held  " + dir / ".grex/.grex-lock") != std::string::npos);
  nested.signal(SIGTERM);
  nested.wait();
}

TEST_CASE("a file in place of .grex makes the locks in it unknown, and says so") {
  const TempDir dir;
  write_file(dir / ".grex", "");
  const json status = json::parse(run_tool({"status", "--json", dir.path()}).out);
  for (const json& lock : status["locks"]) {
    if (lock["tier"] == "backend") continue;
    CAPTURE(lock["tier"]);
    CHECK(lock["state"] == "unknown");
    CHECK(lock["reason"] == "unsafe");
  }
  CHECK(run_tool({"probe", dir.path()}).err.find("cannot create") == std::string::npos);
  CHECK(run_tool({"probe", dir.path()}).ended == exited(77));
}

TEST_CASE("a directory of lock files is no PATH") {
  const TempDir dir;
  dir.make(".grex");
  for (const std::string& path : {dir / ".grex", dir / ".grex/"}) {
    const Finished finished = run_tool({"run", path, "--", "true"});
    CHECK(finished.ended == exited(64));
    CHECK(finished.err.find("\ngrex-lock: name the directory above it\n") != std::string::npos);
  }
  CHECK(finish(grex_lock({"probe", "."}), {.directory = dir / ".grex"}).ended == exited(64));
}

TEST_CASE("commands that see two packs at exchanged paths never deadlock") {
  const TempDir dir;
  for (const char* const name : {"one", "two", "x"}) dir.make(name);
  const std::string exchange = "mount --bind one x && mount --bind two one && mount --bind x two && ";
  const auto words_in = [&](const std::string& mounts, const std::string& options) {
    return Words{"unshare",
                 "--mount",
                 "--user",
                 "--map-root-user",
                 "sh",
                 "-c",
                 mounts + "for i in 1 2 3 4 5 6 7 8; do \"$LOCK\" run " + options + " one two -- true || exit; done"};
  };
  if (finish(words_in(exchange, "-n"), in(dir.path())).ended != exited(0)) return skip("no bind mounts here");
  std::vector<Process> jobs;
  for (const char* const layout : {"both", "both", "flat", "nested"}) {
    for (const std::string& mounts : {std::string(), exchange}) {
      jobs.emplace_back(words_in(mounts, std::string("-w 50 --layout ") + layout), in(dir.path()));
    }
  }
  for (Process& job : jobs) CHECK(job.wait() == exited(0));
}
