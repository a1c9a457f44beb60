// Locks on file systems other than the disk's, and through other mounts.

#include <doctest/doctest.h>
#include <signal.h>
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

json document_in(const std::string& text, std::size_t number) {
  std::size_t at = text.find('{');
  for (; number > 0; --number) at = text.find('{', text.find('\n', at));
  return json::parse(text.substr(at, text.find('\n', at) - at));
}

// Mounts a read-only overlay at m/ in which m/r1/.grex-lock and m/r2/.grex-lock come from
// two file systems and differ in st_dev only: the kernel lists locks on them by the same
// numbers, as those of a btrfs subvolume and its snapshot.
std::string two_files_with_one_number(const TempDir& dir) {
  return "cd " + dir.path() +
         " && mkdir l1 l2 m && mount -t tmpfs none l1 && mount -t tmpfs none l2 && mkdir l1/r1 l2/r2 && "
         ">l1/r1/.grex-lock && >l2/r2/.grex-lock && mount -t overlay overlay -o lowerdir=l1:l2 m || exit 77\n"
         "[ $(stat -c %i m/r1/.grex-lock) = $(stat -c %i m/r2/.grex-lock) ] || exit 77\n"
         "waits_now() { grep -q -e \"-> FLOCK.* $1 \" /proc/locks; }; waits() { until waits_now $1; do :; done; }\n";
}

std::vector<pid_t> pids_of(const json& processes) {
  std::vector<pid_t> pids;
  for (const json& process : processes) pids.push_back(process["pid"]);
  return pids;
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

TEST_CASE(
    "of two files that the kernel lists by one number, each has its own holder and waiter, and release ends that") {
  const FlatLayout one_file;
  const TempDir dir;
  const Finished finished =
      finish(with_mounts(two_files_with_one_number(dir) +
                         "for r in r1 r2; do \"$1\" --json hold --detach --for 1h m/$r; done\n"
                         "flock m/r2/.grex-lock true & w=$!; waits $w\n"
                         "for r in r1 r2; do \"$1\" status --json m/$r; done\n"
                         "\"$1\" probe --json m/r1; \"$1\" probe m/r2\n"
                         "\"$1\" release m/r1; echo $?; \"$1\" status --json m/r1; \"$1\" probe -q m/r2; echo $?\n"
                         "\"$1\" release m/r2; echo $?; wait; echo $w\n"));
  if (is_refused(finished)) return;
  CAPTURE(finished.out);
  CAPTURE(finished.err);
  const auto& out = finished.out;
  const pid_t first = document_in(out, 0)["locks"][0]["pid"];
  const pid_t second = document_in(out, 1)["locks"][0]["pid"];
  const auto lock_in = [&out](std::size_t number) { return lock_at(document_in(out, number).dump()); };
  CHECK(pids_of(lock_in(2)["holders"]) == std::vector<pid_t>{first});
  CHECK(lock_in(2)["waiters"].empty());
  CHECK(lock_in(2)["evidence"] == "kernel");
  CHECK(pids_of(lock_in(3)["holders"]) == std::vector<pid_t>{second});
  REQUIRE(lock_in(3)["waiters"].size() == 1);
  CHECK(out.ends_with("\n0\n" + std::to_string(lock_in(3)["waiters"][0]["pid"].get<pid_t>()) + "\n"));
  CHECK(pids_of(document_in(out, 4)["error"]["holders"]) == std::vector<pid_t>{first});
  CHECK(finished.err.find("held by pid " + std::to_string(second) + " ") != std::string::npos);
  CHECK(finished.err.find("held by pid " + std::to_string(first) + " ") == std::string::npos);
  CHECK(lock_in(5)["state"] == "free");
  CHECK(out.find("\n75\n0\n") != std::string::npos);
  for (const pid_t hold : {first, second}) reap(hold);
}

TEST_CASE("files that the kernel lists by one number make no false deadlock, and hide no real one") {
  const TempDir dir;
  const std::string script =
      two_files_with_one_number(dir) +
      ">there; mkfifo p for_a for_b; exec 7<>p\n"
      // The first holds r1 and waits for `there`, whose holder waits for r2, whose holder runs.
      "flock -o m/r2/.grex-lock sh -c 'echo >p; exec sleep 3600' & h=$!; read x <&7\n"
      "flock there sh -c 'echo $$ >p; exec flock m/r2/.grex-lock true' & read x <&7; waits $x\n"
      "flock m/r1/.grex-lock sh -c 'echo $$ >p; exec flock there true' & read x <&7; waits $x\n"
      "\"$1\" status --json m/r1; \"$1\" status --graph m/r2 | grep -c red\n"
      "s=$(cat /proc/$h/task/$h/children); kill $h $s; wait\n"
      // Now each holds what the other one waits for.
      "flock m/r1/.grex-lock sh -c 'echo $$ >p; read x <for_a; exec flock m/r2/.grex-lock true' & read a <&7\n"
      "flock m/r2/.grex-lock sh -c 'echo $$ >p; read x <for_b; exec flock m/r1/.grex-lock true' & read b <&7\n"
      "echo >for_a; waits $a; echo >for_b; waits $b\n"
      "\"$1\" status --json m/r1; \"$1\" status m/r2; kill $a; wait; echo $a $b\n";
  const Finished finished = finish(with_mounts(script));
  if (is_refused(finished)) return;
  CAPTURE(finished.out);
  CAPTURE(finished.err);
  CHECK_FALSE(document_in(finished.out, 0).contains("deadlocks"));
  CHECK(finished.out.find("\n0\n") != std::string::npos);
  const json deadlocked = document_in(finished.out, 1);
  REQUIRE(deadlocked.contains("deadlocks"));
  REQUIRE(deadlocked["deadlocks"].size() == 1);
  const auto pids = deadlocked["deadlocks"][0].get<std::vector<pid_t>>();
  REQUIRE(pids.size() == 2);
  CHECK(finished.out.find("waits for " + dir / "m/r1/.grex-lock, held by " + std::to_string(pids[0]) + "\n") !=
        std::string::npos);
  CHECK(finished.out.find("waits for " + dir / "m/r2/.grex-lock, held by " + std::to_string(pids[1]) + "\n") !=
        std::string::npos);
}

TEST_CASE("-r searches the subvolumes of btrfs, and each file there has its own holder") {
  if (::geteuid() != 0 || finish({"sh", "-c", "command -v mkfs.btrfs && command -v btrfs"}).ended != exited(0)) {
    return skip("only root can mount btrfs, and only with btrfs-progs");
  }
  const TempDir dir;
  const Finished finished = finish(
      {"unshare", "--mount", "sh", "-c",
       "cd " + dir.path() +
           " && truncate -s 120M disk && mkfs.btrfs -q disk && mkdir m && mount -o loop disk m || exit 77\n"
           "btrfs -q subvolume create m/r1 && >m/r1/.grex-lock && btrfs -q subvolume snapshot m/r1 m/r2 || exit 77\n"
           "exec 8<m/r1/.grex-lock 9<m/r2/.grex-lock; flock 8; flock 9\n"
           "\"$1\" status --json -r m 8>&-; exec 8>&-; \"$1\" status --json -r m; exec 9>&-; umount m\n",
       "sh", grex_lock()});
  if (is_refused(finished)) return;
  CAPTURE(finished.err);
  const json both = document_in(finished.out, 0);
  const json one = document_in(finished.out, 1);
  CHECK(both["complete"] == true);
  REQUIRE(both["locks"].size() == 2);
  CHECK(both["locks"][0]["state"] == "held");
  CHECK(both["locks"][1]["state"] == "held");
  CHECK(one["locks"][0]["state"] == "free");
  CHECK(one["locks"][1]["state"] == "held");
}

TEST_CASE("a directory or a lock file that is also mounted elsewhere has the same lock") {
  const FlatLayout one_file;
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
  const FlatLayout one_file;
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
  const std::string line = "on fuse.test: locks may exclude only processes that use the same mount\n";
  REQUIRE(finished.out.starts_with(excludes));
  const auto at = finished.out.find('{');
  const json lock = lock_at(finished.out.substr(at, finished.out.find('\n', at) - at));
  CHECK(lock["file_system"] == "fuse.test");
  CHECK(lock["weakness"] == "unsure");
  CHECK(finished.out.find("\nper-pack  free  " + dir / ".grex-lock" + "\n  " + line) != std::string::npos);

  // Without -v no note is printed; with it, one per command.
  const std::string note = "grex-lock: " + dir / ".grex-lock" + ": " + line;
  const auto now = finished.err.find("now\ngrex-lock: locked ");
  REQUIRE(now != std::string::npos);
  CHECK(finished.err.substr(0, now).find(line) == std::string::npos);
  const auto first = finished.err.find(note);
  REQUIRE(first != std::string::npos);
  const auto second = finished.err.find(note, first + 1);
  REQUIRE(second != std::string::npos);
  CHECK(finished.err.find(note, second + 1) == std::string::npos);
}

// SECURITY.md: make `status --all` or `-r` wait for a file system that never answers | it is not asked; what was not
// inspected is named
TEST_CASE("status --all and -r ask no file system that does not answer, and say what they have not looked at") {
  const TempDir dir;
  const std::string mounted = dir.make("mounted");
  const std::string file = mounted + "/.grex-lock";
  // A hanging command is ended, so that the test fails and does not hang, too.
  const std::string status = "timeout -k 1 60 " + grex_lock() + " status --json ";
  Process script(
      on_fuse(mounted, 0,
              "mkfifo end; (exec 9>>" + file + "; flock 9; echo held; read line <end) & read line\n" +  //
                  status + "--all; echo $?; " + status + "-r " + dir.path() + "; echo $?; read line; echo >end; wait"),
      in(dir.path()));
  if (script.line() != "held") return skip("FUSE may not be mounted here");
  script.signal(SIGSTOP);  // it is the server
  until([&script] { return state_of(script.pid()) == 'T'; });
  script.write("\n");

  const auto lock_in = [](const std::string& text, const std::string& path) -> json {
    const json document = json::parse(text);
    CHECK(document["complete"] == false);
    for (const json& lock : document["locks"]) {
      if (lock["path"] == path) return lock;
    }
    return {};
  };
  const auto check_lock = [](const json& lock) {
    REQUIRE(lock.is_object());
    CHECK(lock["state"] == "held");
    CHECK(lock["evidence"] == "kernel");
    REQUIRE(lock["holders"].size() == 2);
    CHECK(lock["holders"][0]["role"] == "acquirer");  // flock(1), which has ended
    CHECK(lock["holders"][0]["alive"] == false);
    CHECK(lock["holders"][1]["role"] == "fd-holder");
    CHECK(lock["holders"][1]["command"].is_array());
  };
  const json lock = lock_in(script.line(), file);
  check_lock(lock);
  CHECK(lock["file_system"] == "fuse.test");
  CHECK(script.line() == "0");
  const std::string not_looked_at = "grex-lock: not looked at: ";
  CHECK(script.error_line() == not_looked_at + file + ": its file system may not answer");
  CHECK(json::parse(script.line())["complete"] == false);
  CHECK(script.line() == "0");
  CHECK(script.error_line() == "grex-lock: not searched: " + mounted + ": another file system");

  // From another mount namespace, it has a path through that process.
  const Finished outside = finish({"timeout", "-k", "1", "60", grex_lock(), "status", "--json", "--all"});
  CHECK(outside.ended == exited(0));
  const std::string holder = std::to_string(lock["holders"][1]["pid"].get<pid_t>());
  const std::string path = "/proc/" + holder + "/root" + file;
  check_lock(lock_in(outside.out, path));
  CHECK(outside.err.find(not_looked_at + path + ": ") != std::string::npos);
  script.signal(SIGCONT);
  script.write("\n");
  CHECK(script.wait() == exited(0));
}

TEST_CASE("a holder that a dead file system keeps stuck in its memory map is shown without its command line") {
  if (is_sanitized()) return skip("LeakSanitizer stops all threads, and waits for the one that is stuck, too");
  const TempDir dir;
  const std::string mounted = dir.make("mounted");
  const std::string pack = dir.make("pack");
  // A mapping upon a changed one has the kernel write that, with the memory map locked.
  write_file(dir / "stuck",
             "import ctypes, fcntl, mmap, os\n"
             "lock = os.open('pack/.grex-lock', os.O_RDWR | os.O_CREAT)\n"
             "fcntl.flock(lock, fcntl.LOCK_EX)\n"
             "file = os.open('mounted/file', os.O_RDWR | os.O_CREAT)\n"
             "os.ftruncate(file, 4096)\n"
             "map = mmap.mmap(file, 4096)\n"
             "map[0:1] = b'x'\n"
             "libc = ctypes.CDLL(None)\n"
             "libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]\n"
             "address = ctypes.addressof(ctypes.c_char.from_buffer(map))\n"
             "print('held', flush=True)\n"
             "input()\n"
             "libc.mmap(address, 4096, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x10, -1, 0)\n");
  Process server(on_fuse(mounted, 0, "exec python3 stuck"), in(dir.path()));
  if (server.line() != "held") return skip("FUSE may not be mounted here");
  server.signal(SIGSTOP);
  until([&server] { return state_of(server.pid()) == 'T'; });
  const Words status = {"timeout", "-k", "1", "60", grex_lock(), "status", "--json"};
  const auto holder_by = [](Words words, const std::string& argument) -> json {
    words.push_back(argument);
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(0));
    const json document = json::parse(finished.out);
    for (const json& lock : document["locks"]) {
      if (lock["state"] == "held" && !lock["holders"].empty()) return lock["holders"][0];
    }
    return {};
  };
  const json before = holder_by(status, pack);
  CHECK(before["command"].is_array());
  server.write("\n");
  until([&before] { return state_of(before["pid"]) == 'D'; });
  const json stuck = holder_by(status, pack);
  CHECK(stuck["pid"] == before["pid"]);
  CHECK(stuck["uid"] == before["uid"]);
  CHECK(holder_by(status, "--all").is_object());
  CHECK(run_tool({"release", pack}).ended == exited(69));
  const Finished busy = run_tool({"run", "-n", pack, "--", "true"});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find("held by pid " + std::to_string(before["pid"].get<pid_t>())) != std::string::npos);
  server.signal(SIGCONT);
  CHECK(server.wait() == exited(0));
}

TEST_CASE("on a file system without locks, run fails with a clear error and runs nothing") {
  const FlatLayout one_file;
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

TEST_CASE("if only trying a lock shows its state, and the file system has no locks, it is unknown, with the reason") {
  const FlatLayout one_file;
  const TempDir dir;
  // In a PID namespace, the kernel's list is not complete.
  const std::string status = "unshare --pid --fork --mount-proc " + grex_lock() + " status ";
  const Finished finished =
      finish(on_fuse(dir.path(), ENOLCK,
                     "touch " + dir / ".grex-lock; " + status + dir.path() + "; " + status + "--json " + dir.path()));
  if (is_refused(finished)) return;
  CHECK(finished.out.starts_with("per-pack  unknown  " + dir / ".grex-lock" + "\n  No locks available"));
  CHECK(lock_at(finished.out.substr(finished.out.find('{')))["reason"] == "system");
}

TEST_CASE("status -v names the file system of each lock that has a file") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  const std::string type = lock_at(run_tool({"status", "--json", dir.path()}).out)["file_system"];
  CHECK(run_tool({"status", "-v", dir.path()}).out.find(", record: none, file system: " + type + "\n") !=
        std::string::npos);
}
