// Holders that another PID namespace hides from /proc/locks.

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// Runs a script as process 1 of a PID namespace of its own, with its own /proc.
Words in_namespace(const std::string& script) {
  return {"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
          "-c",      script};
}

json pack_lock(const std::string& text) {
  const json document = json::parse(text);
  for (const json& lock : document["locks"]) {
    if (lock["tier"] == "per-pack") return lock;
  }
  return {};
}

std::string status_command(const TempDir& dir) { return grex_lock() + " status --json " + dir.path(); }

}  // namespace

TEST_CASE("a lock that is held outside the namespace is held, found by trying") {
  const TempDir dir;
  const Fd outside = lock_as_grex(dir / ".grex-lock");
  const Finished finished = finish(in_namespace(status_command(dir)));
  REQUIRE(finished.ended == exited(0));
  const json lock = pack_lock(finished.out);
  CHECK(lock["state"] == "held");
  CHECK(lock["evidence"] == "probe");
  CHECK(lock["mode"] == "exclusive");
  CHECK(lock["holders"].empty());
  const Finished busy = finish(in_namespace(grex_lock() + " probe " + dir.path() + "; echo $?"));
  CHECK(busy.out == "75\n");
  CHECK(busy.err.find("held by a process that can't be seen from here") != std::string::npos);
}

TEST_CASE("the mode of a lock that is shared outside the namespace is found by trying") {
  const TempDir dir;
  Process outside({"flock", "-s", dir / ".grex-lock", "sh", "-c", "echo; read line"});
  outside.line();
  CHECK(pack_lock(finish(in_namespace(status_command(dir))).out)["mode"] == "shared");
}

TEST_CASE("a lock that nobody holds is free by trying, inside a namespace") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const json lock = pack_lock(finish(in_namespace(status_command(dir))).out);
  CHECK(lock["state"] == "free");
  CHECK(lock["evidence"] == "probe");
}

TEST_CASE("a lock that cannot be tried inside a namespace is unknown") {
  const TempDir dir;
  const Fd outside = lock_as_grex(dir / ".grex-lock");
  // Not even readable for the user who looks.
  REQUIRE(::chmod((dir / ".grex-lock").c_str(), 0) == 0);
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  const json lock = pack_lock(finish(in_namespace(status_command(dir)), as_nobody()).out);
  CHECK(lock["state"] == "unknown");
  CHECK(lock["evidence"] == "none");
}

TEST_CASE("the record of a holder outside the namespace tells who it is, without a number that means another here") {
  const TempDir dir;
  Process outside(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo; read line"}));
  outside.line();
  const json lock = pack_lock(finish(in_namespace(status_command(dir))).out);
  CHECK(lock["record"] == "valid");
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["pid"].is_null());
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["alive"].is_null());
}

TEST_CASE("a holder inside a namespace is seen from outside by its number there, with its record") {
  const TempDir dir;
  Process inside(
      in_namespace("exec " + grex_lock() + " run --note nightly " + dir.path() + " -- sh -c 'echo ready; read line'"));
  CHECK(inside.line() == "ready");
  const json lock = pack_lock(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["state"] == "held");
  CHECK(lock["evidence"] == "kernel");
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["role"] == "acquirer");
  CHECK(lock["holders"][0]["alive"] == true);
  CHECK(lock["holders"][0]["pid"].get<pid_t>() > 2);
  CHECK(lock["holders"][0]["note"] == "nightly");
}

TEST_CASE("the heirs of a dead acquirer are found inside a namespace, where /proc/locks hides the lock") {
  const TempDir dir;
  const std::string script =
      "exec bash -c 'exec 9>>" + (dir / ".grex-lock") + "; flock -n 9; " + status_command(dir) + " 9>&-'";
  const json lock = pack_lock(finish(in_namespace(script)).out);
  CHECK(lock["state"] == "held");
  CHECK(lock["evidence"] == "probe");
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["pid"] == 1);
  CHECK(lock["holders"][0]["role"] == "fd-holder");
}

TEST_CASE("the tier stack is verified inside a namespace as well") {
  const TempDir dir;
  const std::string tool = grex_lock();
  // Handed down from outside: live as long as it is held there.
  Words words = grex_lock({"run", dir.path(), "--"});
  const Words inner = in_namespace(tool + " stack --json; " + tool + " run " + dir.path() + " -- true; echo $?");
  words.insert(words.end(), inner.begin(), inner.end());
  const Finished live = finish(words);
  CHECK(live.out.find("\"live\":true") != std::string::npos);
  CHECK(live.out.ends_with("75\n"));

  Words closed = grex_lock({"run", dir.path(), "--", "sh", "-c", "echo \"$GREX_LOCK_STACK\""});
  const std::string outlived = finish(closed).out;
  const Finished gone = finish(in_namespace(tool + " stack --json"),
                               {.environment = {{"GREX_LOCK_STACK", outlived.substr(0, outlived.size() - 1)}}});
  CHECK(gone.out.find("\"live\":false") != std::string::npos);
}

TEST_CASE("a record that was left behind inside a namespace is not taken for the holder outside") {
  const TempDir dir;
  // The writer, and whatever ran under its lock, is gone; the record is not emptied under --no-fork.
  const std::string inside =
      grex_lock() + " run -F " + dir.path() + " -- true; echo ready; read line; exec " + status_command(dir);
  Process shell(in_namespace(inside));
  CHECK(shell.line() == "ready");
  const Fd outside = lock_as_grex(dir / ".grex-lock");
  CHECK_FALSE(content_of(dir / ".grex-lock").empty());
  shell.write("\n");
  const json lock = pack_lock(shell.rest());
  CHECK(lock["state"] == "held");
  CHECK(lock["record"] == "stale");
  CHECK(lock["holders"].empty());
}

TEST_CASE("a writer whose /proc is that of another namespace is still told by its right start") {
  const TempDir dir;
  Process inside({"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", grex_lock(), "run",
                  "--note", "nightly", dir.path(), "--", "sh", "-c", "echo ready; read line"});
  CHECK(inside.line() == "ready");
  const json lock = pack_lock(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["note"] == "nightly");
}

// SECURITY.md: to mount something upon the directory | 66, and no wait without end
TEST_CASE("a working directory that something is mounted upon is not found, and not waited for without end") {
  const TempDir dir;
  const std::string over = dir.make("over");
  const Finished finished =
      finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
              "cd " + over + " && mount -t tmpfs none " + over + " && exec " + grex_lock() + " run . -- true"});
  CHECK(finished.ended == exited(66));
  CHECK_FALSE(exists(over + "/.grex-lock"));
}

TEST_CASE("a record is valid as long as its command lives, though its writer was killed in another namespace") {
  const TempDir dir;
  Process inside(in_namespace("exec 3<&0; " + grex_lock() + " run --note nightly " + dir.path() +
                              " -- sh -c 'echo ready; read line' <&3 & wait; read line"));
  CHECK(inside.line() == "ready");
  const pid_t writer = pack_lock(run_tool({"status", "--json", dir.path()}).out)["holders"][0]["pid"].get<pid_t>();
  REQUIRE(::kill(writer, SIGKILL) == 0);
  until([writer] { return !process_exists(writer) || state_of(writer) == 'Z'; });
  const json lock = pack_lock(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["alive"] == false);
}
