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

// Runs a script as PID 1 of its own PID namespace, with its own /proc.
Words in_namespace(const std::string& script) {
  return {"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "sh",
          "-c",      script};
}

json pack_lock_in(const std::string& text) {
  const json document = json::parse(text);
  for (const json& lock : document["locks"]) {
    if (lock["tier"] == "per-pack") return lock;
  }
  return {};
}

std::string status_command(const TempDir& dir) { return grex_lock() + " status --json " + dir.path(); }

}  // namespace

TEST_CASE("a lock that is held outside the namespace is found by trying") {
  const TempDir dir;
  const Fd outside = lock_as_grex(dir / ".grex-lock");
  const Finished finished = finish(in_namespace(status_command(dir)));
  REQUIRE(finished.ended == exited(0));
  const json lock = pack_lock_in(finished.out);
  CHECK(lock["state"] == "held");
  CHECK(lock["evidence"] == "probe");
  CHECK(lock["mode"] == "exclusive");
  CHECK(lock["holders"].empty());
  const Finished busy = finish(in_namespace(grex_lock() + " probe " + dir.path() + "; echo $?"));
  CHECK(busy.out == "75\n");
  CHECK(busy.err.find("held by a process not visible from here (other host or container)") != std::string::npos);
}

TEST_CASE("a holder whose descriptors a user namespace hides is not called gone") {
  const TempDir dir;
  Process outside(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo; read line"}));
  outside.line();
  const std::string pid = std::to_string(outside.pid());
  const Finished finished = finish({"unshare", "--user", "--map-root-user", grex_lock(), "probe", dir.path()});
  CHECK(finished.ended == exited(75));
  CHECK(finished.err.find("held by pid " + pid + " ") != std::string::npos);
  CHECK(finished.err.find("gone") == std::string::npos);
  CHECK(finished.err.find("[nightly]") != std::string::npos);
}

TEST_CASE("the mode of a lock shared outside the namespace is found by trying") {
  const TempDir dir;
  Process outside({"flock", "-s", dir / ".grex-lock", "sh", "-c", "echo; read line"});
  outside.line();
  CHECK(pack_lock_in(finish(in_namespace(status_command(dir))).out)["mode"] == "shared");
}

TEST_CASE("inside a namespace a free lock is found by trying") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const json lock = pack_lock_in(finish(in_namespace(status_command(dir))).out);
  CHECK(lock["state"] == "free");
  CHECK(lock["evidence"] == "probe");
}

TEST_CASE("a lock that cannot be tried inside a namespace is unknown") {
  const TempDir dir;
  const Fd outside = lock_as_grex(dir / ".grex-lock");
  // Not even readable for the user of status.
  REQUIRE(::chmod((dir / ".grex-lock").c_str(), 0) == 0);
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  const json lock = pack_lock_in(finish(in_namespace(status_command(dir)), as_nobody()).out);
  CHECK(lock["state"] == "unknown");
  CHECK(lock["evidence"] == "none");
}

TEST_CASE("the record identifies a holder outside the namespace, without a PID that is another process's here") {
  const TempDir dir;
  Process outside(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo; read line"}));
  outside.line();
  const json lock = pack_lock_in(finish(in_namespace(status_command(dir))).out);
  CHECK(lock["record"] == "valid");
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["pid"].is_null());
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["alive"].is_null());
}

TEST_CASE("from outside, a holder in a namespace is shown with its outer PID and its record") {
  const TempDir dir;
  Process inside(
      in_namespace("exec " + grex_lock() + " run --note nightly " + dir.path() + " -- sh -c 'echo ready; read line'"));
  CHECK(inside.line() == "ready");
  const json lock = pack_lock_in(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["state"] == "held");
  CHECK(lock["evidence"] == "kernel");
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["role"] == "acquirer");
  CHECK(lock["holders"][0]["alive"] == true);
  CHECK(lock["holders"][0]["pid"].get<pid_t>() > 2);
  CHECK(lock["holders"][0]["note"] == "nightly");
}

TEST_CASE("the fd-holders of a dead acquirer are found even if a namespace hides the lock") {
  const TempDir dir;
  const std::string script =
      "exec bash -c 'exec 9>>" + (dir / ".grex-lock") + "; flock -n 9; " + status_command(dir) + " 9>&-'";
  const json lock = pack_lock_in(finish(in_namespace(script)).out);
  CHECK(lock["state"] == "held");
  CHECK(lock["evidence"] == "probe");
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["pid"] == 1);
  CHECK(lock["holders"][0]["role"] == "fd-holder");
}

TEST_CASE("the tier stack is verified inside a namespace as well") {
  const TempDir dir;
  const std::string tool = grex_lock();
  // Inherited from outside: live while it is held there.
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

TEST_CASE("a record left behind in a namespace is not taken for that of the holder outside") {
  const TempDir dir;
  // The writer and its command are gone; under --no-fork the record is not emptied.
  const std::string inside =
      grex_lock() + " run -F " + dir.path() + " -- true; echo ready; read line; exec " + status_command(dir);
  Process shell(in_namespace(inside));
  CHECK(shell.line() == "ready");
  const Fd outside = lock_as_grex(dir / ".grex-lock");
  CHECK_FALSE(content_of(dir / ".grex/.grex-lock").empty());
  shell.write("\n");
  const json lock = pack_lock_in(shell.rest());
  CHECK(lock["state"] == "held");
  CHECK(lock["record"] == "stale");
  CHECK(lock["holders"].empty());
}

TEST_CASE("a record has the right start time even with the /proc of another namespace") {
  const TempDir dir;
  Process inside({"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", grex_lock(), "run",
                  "--note", "nightly", dir.path(), "--", "sh", "-c", "echo ready; read line"});
  CHECK(inside.line() == "ready");
  const json lock = pack_lock_in(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["note"] == "nightly");
}

TEST_CASE("status doesn't list itself as a holder, even with the /proc of another namespace") {
  const TempDir dir;
  const Finished inside = finish({"unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child",
                                  grex_lock(), "run", dir.path(), "--", grex_lock(), "status", "--json", dir.path()});
  const json lock = pack_lock_in(inside.out);
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["role"] == "acquirer");
}

// SECURITY.md: mount another file system on the directory | 66, and no endless wait
TEST_CASE("a working directory that is mounted over is not found, and causes no endless wait") {
  const TempDir dir;
  const std::string over = dir.make("over");
  const Finished finished =
      finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
              "cd " + over + " && mount -t tmpfs none " + over + " && exec " + grex_lock() + " run . -- true"});
  CHECK(finished.ended == exited(66));
  CHECK_FALSE(exists(over + "/.grex-lock"));
}

TEST_CASE("a record stays valid while its command runs, even if its writer in a namespace was killed") {
  const TempDir dir;
  Process inside(in_namespace("exec 3<&0; " + grex_lock() + " run --note nightly " + dir.path() +
                              " -- sh -c 'echo ready; read line' <&3 & wait; read line"));
  CHECK(inside.line() == "ready");
  const pid_t writer = pack_lock_in(run_tool({"status", "--json", dir.path()}).out)["holders"][0]["pid"].get<pid_t>();
  until([&dir] { return content_of(dir / ".grex/.grex-lock").find("\"pid:[") != std::string::npos; });
  REQUIRE(::kill(writer, SIGKILL) == 0);
  until([writer] { return !process_exists(writer) || state_of(writer) == 'Z'; });
  const json lock = pack_lock_in(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["alive"] == false);
}
