// Locks on file systems other than the disk's, and through other mounts.

#include <doctest/doctest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

constexpr int cannot_mount = 77;

// Runs a script in its own mount namespace; `$1` is the tool.
Words with_mounts(const std::string& script) {
  return {"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", grex_lock()};
}

// The same as in a container, with its own PID and UTS namespaces too.
Words in_container(const std::string& script) {
  return {"unshare", "--user",       "--map-root-user", "--mount", "--pid", "--uts",
          "--fork",  "--kill-child", "--mount-proc",    "sh",      "-c",    script,
          "sh",      grex_lock()};
}

// Prints a status per line: 1 if our lock keeps out flock(1) at the other path, 75
// if flock(1)'s lock keeps us out, and 0 if neither lock is left.
std::string exclusion(const std::string& pack, const std::string& other) {
  return "\"$1\" run " + pack + " -- flock -n " + other + "/.grex-lock true; echo $?;" +  //
         "flock " + pack + "/.grex-lock \"$1\" run -n -q " + other + " -- true; echo $?;" + "\"$1\" run -n " + other +
         " -- true; echo $?;";
}
constexpr auto excludes = "1\n75\n0\n";

json lock_at(const std::string& text, const std::string& tier = "per-pack") {
  const json document = json::parse(text);
  for (const json& lock : document["locks"]) {
    if (lock["tier"] == tier) return lock;
  }
  return {};
}

// Whether the script could not mount; skips the test then.
bool is_refused(const Finished& finished) {
  if (finished.ended != exited(cannot_mount)) return false;
  skip("this may not be mounted here");
  return true;
}

}  // namespace

TEST_CASE("locks on a tmpfs exclude, and status names the file system even without a lock file") {
  const TempDir dir;
  const std::string mounted = "mount -t tmpfs none " + dir.path() + " && ";
  CHECK(finish(with_mounts(mounted + exclusion(dir.path(), dir.path()))).out == excludes);

  const std::string absent = finish(with_mounts(mounted + "\"$1\" status --json " + dir.path())).out;
  for (const char* const tier : {"per-pack", "manifest"}) {
    CAPTURE(tier);
    CHECK(lock_at(absent, tier)["state"] == "absent");
    CHECK(lock_at(absent, tier)["file_system"] == "tmpfs");
  }
  const json held =
      lock_at(finish(with_mounts(mounted + "\"$1\" run " + dir.path() + " -- \"$1\" status --json " + dir.path())).out);
  CHECK(held["state"] == "held");
  CHECK(held["evidence"] == "kernel");
  CHECK(held["file_system"] == "tmpfs");
  CHECK(held["weakness"] == "none");
}

TEST_CASE("locks through an overlay exclude, also on a file copied up from the lower layer") {
  const TempDir dir;
  write_file(dir.make("lower/pack") + "/.grex-lock", "");
  write_file(dir.make("lower/other") + "/.grex-lock", "");
  const std::string merged = dir.make("merged");
  const std::string mounted =
      "cd " + dir.path() + " && mkdir top && mount -t tmpfs none top && mkdir top/upper top/work " +
      "&& mount -t overlay overlay -o lowerdir=lower,upperdir=top/upper,workdir=top/work merged " + "|| exit 77; ";
  const Finished finished = finish(with_mounts(
      mounted + exclusion("merged/pack", "merged/pack") +
      "\"$1\" run merged/pack -- \"$1\" status --json merged/pack;" +
      // Locked before there is a copy, through a read-only descriptor.
      "exec 9<merged/other/.grex-lock; flock 9; \"$1\" run -n -q merged/other -- true; echo $?; exec 9>&-;" +
      // The file in the layer itself is a different one.
      "flock lower/pack/.grex-lock \"$1\" run -n -q merged/pack -- true; echo $?"));
  if (is_refused(finished)) return;
  REQUIRE(finished.out.starts_with(excludes));
  CHECK(finished.out.ends_with("\n75\n0\n"));
  const auto at = finished.out.find('{');
  const json lock = lock_at(finished.out.substr(at, finished.out.find('\n', at) - at));
  CHECK(lock["state"] == "held");
  REQUIRE(lock["holders"].size() > 0);
  CHECK(lock["holders"][0]["verb"] == "run");
  CHECK(lock["holders"][0]["pid"].is_number());
  CHECK(lock["file_system"] == "overlay");
  CHECK(lock["weakness"] == "none");
}

TEST_CASE("a directory or a lock file that is also mounted elsewhere has the same lock") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const std::string elsewhere = dir.make("elsewhere");
  const std::string alone = dir.make("alone");
  write_file(pack + "/.grex-lock", "");
  write_file(alone + "/.grex-lock", "");
  for (const std::string& mount : {"mount --bind " + pack + " " + elsewhere + " && ",
                                   "mount --bind " + pack + "/.grex-lock " + alone + "/.grex-lock && "}) {
    CAPTURE(mount);
    const std::string& other = mount.find("alone") == std::string::npos ? elsewhere : alone;
    CHECK(finish(with_mounts(mount + exclusion(pack, other))).out == excludes);
    CHECK(finish(with_mounts(mount + exclusion(other, pack))).out == excludes);
    const json lock = lock_at(
        finish(with_mounts(mount + "\"$1\" run --note nightly " + pack + " -- \"$1\" status --json " + other)).out);
    CHECK(lock["state"] == "held");
    CHECK(lock["holders"][0]["note"] == "nightly");
    CHECK(lock["file_system"].is_string());
  }
}

TEST_CASE("status shows the PID and user of a holder in another user namespace") {
  const TempDir dir;
  Process inside({"unshare", "--user", "--map-root-user", grex_lock(), "run", dir.path(), "--", "sh", "-c",
                  "echo ready; read line"});
  CHECK(inside.line() == "ready");
  const json lock = lock_at(run_tool({"status", "--json", dir.path()}).out);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["pid"] == inside.pid());
  CHECK(lock["holders"][0]["uid"] == ::getuid());
  CHECK(run_tool({"run", "-n", "-q", dir.path(), "--", "true"}).ended == exited(75));
}

TEST_CASE("status in a user namespace shows a holder outside it") {
  const TempDir dir;
  Process outside(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo ready; read line"}));
  CHECK(outside.line() == "ready");
  const json lock = lock_at(finish(with_mounts("\"$1\" status --json " + dir.path())).out);
  CHECK(lock["state"] == "held");
  CHECK(lock["holders"][0]["pid"] == outside.pid());
}

TEST_CASE("a container's lock in a directory shared under another name excludes the host, and is shown there") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const std::string shared = "hostname box; mount -t tmpfs none " + dir.make("root") + " && mkdir " +
                             dir / "root/pack" + " && mount --bind " + pack + " " + dir / "root/pack" + " && ";
  Process inside(in_container(shared + "exec \"$1\" run --note nightly " + dir / "root/pack" +
                              " -- sh -c 'echo ready; read line'"));
  CHECK(inside.line() == "ready");
  CHECK(run_tool({"run", "-n", "-q", pack, "--", "true"}).ended == exited(75));
  const json lock = lock_at(run_tool({"status", "--json", pack}).out);
  CHECK(lock["state"] == "held");
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["alive"] == true);
  CHECK(process_exists(lock["holders"][0]["pid"].get<pid_t>()));
  inside.write("\n");
  CHECK(inside.wait() == exited(0));

  Process outside(grex_lock({"run", "--note", "nightly", pack, "--", "sh", "-c", "echo ready; read line"}));
  CHECK(outside.line() == "ready");
  const std::string container_pack = dir / "root/pack";
  const Finished finished = finish(in_container(shared + "\"$1\" run -n -q " + container_pack + " -- true; echo $?;" +
                                                "\"$1\" status --json " + container_pack));
  REQUIRE(finished.out.starts_with("75\n"));
  const json seen = lock_at(finished.out.substr(3));
  CHECK(seen["state"] == "held");
  CHECK(seen["evidence"] == "probe");
  CHECK(seen["holders"][0]["note"] == "nightly");
  // Its PID belongs to the other host, so whether it is alive is unknown here.
  CHECK(seen["holders"][0]["host"].is_string());
  CHECK(seen["holders"][0]["host"] != "box");
  CHECK(seen["holders"][0]["alive"].is_null());
}

TEST_CASE("FUSE locks exclude within the mount, and status and -v warn of that limit") {
  const TempDir dir;
  const std::string tool = grex_lock();
  const std::string script = "set -- sh " + tool + "; shift; cd /; " + exclusion(dir.path(), dir.path()) + tool +
                             " status --json " + dir.path() + "; " + tool + " status " + dir.path() + "; " + tool +
                             " run " + dir.path() + " -- true; echo now >&2; " + tool + " run -v " + dir.path() +
                             " -- true; exec 9>>" + dir / ".grex-lock" + "; " + tool + " fd -v 9";
  const Finished finished = finish(on_fuse(dir.path(), 0, script));
  if (is_refused(finished)) return;
  CAPTURE(finished.out);
  CHECK(finished.ended == exited(0));
  const std::string line = "on fuse.test: locks may keep out only those who use the same mount\n";
  REQUIRE(finished.out.starts_with(excludes));
  const auto at = finished.out.find('{');
  const json lock = lock_at(finished.out.substr(at, finished.out.find('\n', at) - at));
  CHECK(lock["file_system"] == "fuse.test");
  CHECK(lock["weakness"] == "unsure");
  CHECK(finished.out.ends_with("per-pack  free  " + dir / ".grex-lock" + "\n  " + line));

  // Without -v no note is printed; with it, one per command.
  const std::string note = "grex-lock: " + dir / ".grex-lock" + ": " + line;
  REQUIRE(finished.err.starts_with("now\ngrex-lock: locked "));
  const auto first = finished.err.find(note);
  REQUIRE(first != std::string::npos);
  const auto second = finished.err.find(note, first + 1);
  REQUIRE(second != std::string::npos);
  CHECK(finished.err.find(note, second + 1) == std::string::npos);
}

TEST_CASE("on a file system without locks, run fails with a clear error and runs nothing") {
  const TempDir dir;
  for (const int error : {ENOLCK, EOPNOTSUPP}) {
    CAPTURE(error);
    const Finished finished = finish(on_fuse(dir.path(), error, grex_lock() + " run " + dir.path() + " -- echo ran"));
    if (is_refused(finished)) return;
    CHECK(finished.ended == exited(71));
    CHECK(finished.out.empty());
    CHECK(finished.err.starts_with("grex-lock: the system refused: " + dir / ".grex-lock" + ": "));
    CHECK(finished.err.find("\ngrex-lock: its file system has no locks, or cannot reach") != std::string::npos);
  }
}

TEST_CASE("status -v names the file system of each lock that has a file") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const std::string type = lock_at(run_tool({"status", "--json", dir.path()}).out)["file_system"];
  CHECK(run_tool({"status", "-v", dir.path()}).out.find(", record: none, file system: " + type + "\n") !=
        std::string::npos);
}
