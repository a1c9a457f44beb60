// The lock file as found on disk.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// Keeps exchanging two names.
std::jthread exchanging(const std::string& one, const std::string& other) {
  const auto exchange = [one, other] {
    return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
  };
  REQUIRE(exchange() == 0);
  return std::jthread([exchange](const std::stop_token& stop) {
    while (!stop.stop_requested()) exchange();
  });
}

// For before_exec: openat(2) with O_CREAT fails from here on, as under fs.protected_regular.
void refuse_o_creat() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
      // The flags, in the lower half of the third argument.
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
               offsetof(seccomp_data, args[2]) + (std::endian::native == std::endian::big ? 4 : 0)),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(filter), filter};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    ::_exit(2);
  }
}

// Keeps adding and removing a second name of a file.
std::jthread linking(const std::string& file, const std::string& name) {
  return std::jthread([file, name](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::link(file.c_str(), name.c_str());
      ::unlink(name.c_str());
    }
  });
}

ino_t inode_of(const std::string& path) {
  struct stat st {};
  REQUIRE(::stat(path.c_str(), &st) == 0);
  return st.st_ino;
}

// The content of a lock file while a command runs under its lock.
std::string record_of_a_run(const TempDir& dir) {
  dir.make("recorded");
  std::string record =
      run_tool({"run", "--layout", "flat", dir / "recorded", "--", "cat", dir / "recorded/.grex-lock"}).out;
  REQUIRE(record.starts_with("{\"pid\":"));
  return record;
}

}  // namespace

// SECURITY.md: use a symlink as the lock file, so that a file is created, locked or emptied elsewhere | refused, 77;
// nothing is created
TEST_CASE("a symlink is refused as a lock file, dangling or not") {
  const FlatLayout one_file;
  const TempDir dir;
  std::filesystem::create_symlink(dir / "target", dir / ".grex-lock");
  for (const bool leads_to_a_file : {false, true}) {
    CAPTURE(leads_to_a_file);
    if (leads_to_a_file) write_file(dir / "target", "content");
    // Through the link it would be busy.
    const Fd lock = leads_to_a_file ? lock_as_grex(dir / "target") : Fd();
    const Finished finished = run_tool({"run", "-n", dir.path(), "--", "echo", "ran"});
    CHECK(finished.ended == exited(77));
    CHECK(finished.out.empty());
    CHECK(finished.err.starts_with("grex-lock: unsafe lock file: " + dir.path() + "/.grex-lock: a symbolic link to " +
                                   dir / "target" + "\ngrex-lock: if it does not belong there, remove it\n"));
    for (const auto& words : {grex_lock({"probe", dir.path()}), grex_lock({"wait", "-n", dir.path()}),
                              grex_lock({"hold", "-n", dir.path()})}) {
      CAPTURE(words[1]);
      CHECK(finish(words).ended == exited(77));
    }
    CHECK(exists(dir / "target") == leads_to_a_file);
  }
  CHECK(content_of(dir / "target") == "content");
}

// SECURITY.md: use a symlink as `.grex`, the directory of the lock file | refused, 77; nothing is created
TEST_CASE("no lock is taken through a symlink in place of .grex, and nothing is created behind it") {
  const FlatLayout one_file;
  const TempDir dir;
  const std::string elsewhere = dir.make("elsewhere");
  dir.make("pack");
  REQUIRE(::symlink(elsewhere.c_str(), (dir / "pack/.grex").c_str()) == 0);
  for (const auto& words : {grex_lock({"run", "--layout", "nested", dir / "pack", "--", "true"}),
                            grex_lock({"run", "-t", "manifest", dir / "pack", "--", "true"}),
                            grex_lock({"run", "--layout", "nested", "-t", "semaphore", dir / "pack", "--", "true"})}) {
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(77));
    CHECK(finished.err.starts_with("grex-lock: unsafe lock file: "));
  }
  CHECK(finish({"ls", "-A", elsewhere}).out.empty());
}

// SECURITY.md: swap in either symlink between check and use | each name is looked up below the open directory, and no
// link is followed; after locking, the file is compared with what its path names
TEST_CASE("a symlink that replaces the lock file at any moment is not followed") {
  const FlatLayout one_file;
  const TempDir dir;
  dir.make("pack");
  write_file(dir / "victim", "precious");
  write_file(dir / "pack/.grex-lock", "");
  REQUIRE(::symlink("../victim", (dir / "pack/link").c_str()) == 0);
  const std::jthread attacker = exchanging(dir / "pack/.grex-lock", dir / "pack/link");
  int locked = 0;
  int refused = 0;
  // Until both outcomes have occurred.
  while (locked + refused < tries(100) || locked == 0 || refused == 0) {
    const Finished finished = run_tool({"run", dir / "pack", "--", "flock", "-n", dir / "victim", "true"});
    const bool is_refused = finished.ended == exited(77);
    REQUIRE((is_refused || finished.ended == exited(0)));
    ++(is_refused ? refused : locked);
    REQUIRE(locked + refused < 10'000);
  }
  MESSAGE(locked << " of " << locked + refused << " got the lock");
  CHECK(content_of(dir / "victim") == "precious");
}

// SECURITY.md: swap in either symlink between check and use | each name is looked up below the open directory, and no
// link is followed; after locking, the file is compared with what its path names
TEST_CASE("a symlink that replaces .grex at any moment is not followed") {
  const FlatLayout one_file;
  const TempDir dir;
  const std::string elsewhere = dir.make("elsewhere");
  dir.make("pack/.grex");
  REQUIRE(::symlink(elsewhere.c_str(), (dir / "pack/link").c_str()) == 0);
  const std::jthread attacker = exchanging(dir / "pack/.grex", dir / "pack/link");
  int locked = 0;
  int refused = 0;
  while (locked + refused < tries(100) || locked == 0 || refused == 0) {
    const Finished finished = run_tool({"run", "--layout", "nested", dir / "pack", "--", "true"});
    const bool is_refused = finished.ended == exited(77);
    REQUIRE((is_refused || finished.ended == exited(0)));
    ++(is_refused ? refused : locked);
    REQUIRE(locked + refused < 10'000);
  }
  CHECK(finish({"ls", "-A", elsewhere}).out.empty());
}

// SECURITY.md: swap in either symlink between check and use | each name is looked up below the open directory, and no
// link is followed; after locking, the file is compared with what its path names
TEST_CASE("a symlink that replaces the lock file or .grex during a wait is refused") {
  const FlatLayout one_file;
  for (const std::string swapped : {".grex-lock", ".grex"}) {
    CAPTURE(swapped);
    const TempDir dir;
    dir.make("pack/.grex");
    dir.make("elsewhere");
    write_file(dir / "elsewhere/.grex-lock", "precious");
    const bool is_flat = swapped == ".grex-lock";
    const std::string file = is_flat ? dir / "pack/.grex-lock" : dir / "pack/.grex/.grex-lock";
    Fd lock = lock_as_grex(file);
    Process waiter(grex_lock({"run", "--layout", is_flat ? "flat" : "nested", dir / "pack", "--", "echo", "ran"}));
    until([&file] { return waiters_on(file) == 1; });
    std::filesystem::rename(dir / "pack/" + swapped, dir / "old");
    std::filesystem::create_symlink(is_flat ? "../elsewhere/.grex-lock" : "../elsewhere", dir / "pack/" + swapped);
    lock.reset();
    CHECK(waiter.wait() == exited(77));
    CHECK(waiter.rest().empty());
    CHECK(content_of(dir / "elsewhere/.grex-lock") == "precious");
  }
}

TEST_CASE("no command looks behind a symlink in place of .grex, and release ends no hold there") {
  const FlatLayout one_file;
  const TempDir dir;
  dir.make("pack");
  dir.make("other");
  Process hold(grex_lock({"hold", "--layout", "nested", dir / "other"}));
  hold.line();
  REQUIRE(::symlink("../other/.grex", (dir / "pack/.grex").c_str()) == 0);
  for (const char* const command : {"release", "probe"}) {
    const Finished refused = run_tool({command, "--layout", "nested", dir / "pack"});
    CHECK(refused.ended == exited(77));
    CHECK(refused.err.starts_with("grex-lock: unsafe lock file: " +
                                  dir / "pack/.grex: a symbolic link to ../other/.grex\n"));
  }
  CHECK(is_locked(dir / "other/.grex/.grex-lock"));
  const json document = json::parse(run_tool({"status", "--json", "--layout", "nested", dir / "pack"}).out);
  for (const json& lock : document["locks"]) {
    CAPTURE(lock["path"]);
    CHECK(lock["state"] == "unknown");
    CHECK(lock["reason"] == "unsafe");
    CHECK(lock["holders"].empty());
  }
  const std::string text = run_tool({"status", "--layout", "nested", dir / "pack"}).out;
  CHECK(text.find("/pack/.grex/.grex-lock\n  " + dir / "pack/.grex: a symbolic link to ../other/.grex\n") !=
        std::string::npos);
  CHECK(text.find(std::to_string(hold.pid())) == std::string::npos);
}

// SECURITY.md: use a hard link to a victim's file, so that the record overwrites it | it is locked, but nothing is
// written to a file that has a second name, or that contains anything else than a record
TEST_CASE("a lock file with another name is locked, and its content stays") {
  const FlatLayout one_file;
  const TempDir dir;
  dir.make("pack");
  const std::string record = record_of_a_run(dir);
  // In a file with one name, only the first would stay.
  for (const std::string& content : {std::string("precious"), std::string(), record}) {
    CAPTURE(content);
    write_file(dir / "victim", content);
    std::filesystem::create_hard_link(dir / "victim", dir / "pack/.grex-lock");
    CHECK(run_tool({"run", dir / "pack", "--", "cat", dir / "victim"}).out == content);
    CHECK(content_of(dir / "victim") == content);
    CHECK(finish(bash("exec 9<>pack/.grex-lock; \"$LOCK\" fd 9; cat victim; \"$LOCK\" fd -u 9"), in(dir.path())).out ==
          content);
    CHECK(content_of(dir / "victim") == content);
    std::filesystem::remove(dir / "pack/.grex-lock");
  }
  write_file(dir / "victim", "precious");
  std::filesystem::create_hard_link(dir / "victim", dir / "pack/.grex-lock");
  CHECK(run_tool({"run", dir / "pack", "--", "flock", "-n", dir / "victim", "true"}).ended == exited(1));
  write_file(dir / ".grex-lock", "mine");
  const Finished verbose = run_tool({"run", "-v", dir.path(), "--", "true"});
  CHECK(verbose.err.find("no holder record: " + (dir / ".grex-lock") + ": contains other data\n") != std::string::npos);
  CHECK(content_of(dir / ".grex-lock") == "mine");
  CHECK(finish(bash("exec 9<>pack/.grex-lock; \"$LOCK\" fd 9; \"$LOCK\" fd -u 9"), in(dir.path())).ended == exited(0));
  CHECK(content_of(dir / "victim") == "precious");
}

// SECURITY.md: use a hard link to a victim's file, so that the record overwrites it | it is locked, but nothing is
// written to a file that has a second name, or that contains anything else than a record
TEST_CASE("a hard link that comes and goes at any moment empties no file that is not a record") {
  const FlatLayout one_file;
  const TempDir dir;
  dir.make("pack");
  write_file(dir / "victim", "precious");
  const std::string victim = "\"ino\":" + std::to_string(inode_of(dir / "victim")) + ",";
  const std::jthread attacker = linking(dir / "victim", dir / "pack/.grex-lock");
  int locked = 0;
  for (int i = 0; i < tries(200) || locked == 0; ++i) {
    const Finished finished = run_tool({"run", dir / "pack", "--", "printenv", "GREX_LOCK_STACK"});
    REQUIRE(finished.ended == exited(0));
    REQUIRE(content_of(dir / "victim") == "precious");
    locked += finished.out.find(victim) == std::string::npos ? 0 : 1;
    REQUIRE(i < 10'000);
  }
  MESSAGE(locked << " got the lock of the victim");
}

TEST_CASE("a hard link that comes and goes at any moment empties no record") {
  const FlatLayout one_file;
  const TempDir dir;
  dir.make("pack");
  const std::string record = record_of_a_run(dir);
  write_file(dir / "victim", record);
  const std::jthread attacker = linking(dir / "victim", dir / "pack/.grex-lock");
  for (int i = 0; i < tries(200); ++i) {
    REQUIRE(run_tool({"run", dir / "pack", "--", "true"}).ended == exited(0));
    REQUIRE(content_of(dir / "victim") == record);
  }
}

// SECURITY.md: use a FIFO, a socket or a device, so that grex-lock hangs or has a side effect | refused immediately, 77
TEST_CASE("a FIFO is refused as a lock file, and does not block") {
  const FlatLayout one_file;
  const TempDir dir;
  REQUIRE(::mkfifo((dir / ".grex-lock").c_str(), 0666) == 0);
  CHECK(run_tool({"run", dir.path(), "--", "true"}).ended == exited(77));
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(77));
  CHECK(run_tool({"probe", dir.path()}).ended == exited(77));
  CHECK(run_tool({"status", dir.path()}).ended == exited(0));
  // Opened for reading only, it would wait for a writer.
  ::chmod(dir.path().c_str(), 0755);
  ::chmod((dir / ".grex-lock").c_str(), 0444);
  CHECK(run_tool({"run", dir.path(), "--", "true"}, as_nobody()).ended == exited(77));
  CHECK(run_tool({"probe", dir.path()}, as_nobody()).ended == exited(77));
}

// SECURITY.md: use a FIFO, a socket or a device, so that grex-lock hangs or has a side effect | refused immediately, 77
TEST_CASE("a socket and a device are refused as lock files, immediately") {
  const FlatLayout one_file;
  const TempDir dir;
  const std::string make_socket = "import socket; socket.socket(socket.AF_UNIX).bind('.grex-lock')";
  REQUIRE(finish({"python3", "-c", make_socket}, in(dir.path())).ended == exited(0));
  CHECK(run_tool({"run", dir.path(), "--", "true"}).ended == exited(77));
  CHECK(run_tool({"probe", dir.path()}).ended == exited(77));
  std::filesystem::remove(dir / ".grex-lock");
  // A device, which any user can mount there.
  write_file(dir / ".grex-lock", "");
  const std::string mount = "mount --bind /dev/null .grex-lock && exec \"$LOCK\" ";
  for (const char* const words : {"run -n . -- echo ran", "probe ."}) {
    CAPTURE(words);
    const Finished finished =
        finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount + words}, in(dir.path()));
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(77));
    CHECK(finished.out.empty());
  }
}

TEST_CASE("a lock file is never truncated by opening and never removed") {
  const FlatLayout one_file;
  const TempDir dir;
  write_file(dir / ".grex-lock", "kept");
  CHECK(run_tool({"run", "-s", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(content_of(dir / ".grex-lock") == "kept");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(75));
  CHECK(content_of(dir / ".grex-lock") == "kept");
}

// SECURITY.md: keep a lock on a file that they can open | they can; `status` shows them, `-n` and `-w` end the wait
TEST_CASE("another user's lock file can be locked if it is only readable") {
  const FlatLayout one_file;
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  write_file(dir / ".grex-lock", "");
  ::chmod((dir / ".grex-lock").c_str(), 0644);
  CHECK(run_tool({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}, as_nobody()).ended == exited(1));
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}, as_nobody()).ended == exited(75));
}

// SECURITY.md: keep a lock on a file that they can open | they can; `status` shows them, `-n` and `-w` end the wait
TEST_CASE("a lock that another user keeps stays theirs: status names them, and -n and -w end the wait") {
  const FlatLayout one_file;
  if (!can_become_others()) return;
  constexpr unsigned other = 65534;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  write_file(dir / ".grex-lock", "");
  ::chmod((dir / ".grex-lock").c_str(), 0644);
  Process keeper({"flock", dir / ".grex-lock", "sh", "-c", "echo ready; read line"}, as_user(other));
  CHECK(keeper.line() == "ready");
  for (const Setup& setup : {Setup{}, as_user(65533)}) {
    const json document = json::parse(run_tool({"status", "--json", dir.path()}, setup).out);
    const json lock = document["locks"][2];
    CHECK(lock["state"] == "held");
    REQUIRE_FALSE(lock["holders"].empty());
    CHECK(lock["holders"][0]["pid"] == keeper.pid());
    CHECK(lock["holders"][0]["uid"] == other);
    CHECK(lock["holders"][0]["command"][0] == "flock");
    for (const char* const patience : {"-n", "-w1ms"}) {
      const Finished busy = run_tool({"run", patience, dir.path(), "--", "echo", "ran"}, setup);
      CHECK(busy.ended == exited(75));
      CHECK(busy.out.empty());
      CHECK(busy.err.find("held by pid " + std::to_string(keeper.pid())) != std::string::npos);
    }
  }
}

TEST_CASE("a lock file that cannot be read fails with 77, and one that cannot be created with 73") {
  const FlatLayout one_file;
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  const Finished create = run_tool({"run", dir.path(), "--", "echo", "ran"}, as_nobody());
  CHECK(create.ended == exited(73));
  CHECK(create.err.starts_with("grex-lock: cannot create: " + dir.path() + "/.grex-lock: Permission denied\n"));
  CHECK(create.out.empty());
  write_file(dir / ".grex-lock", "");
  ::chmod((dir / ".grex-lock").c_str(), 0600);
  const Finished denied = run_tool({"run", dir.path(), "--", "echo", "ran"}, as_nobody());
  CHECK(denied.ended == exited(77));
  CHECK(denied.err.starts_with("grex-lock: no permission: " + dir.path() + "/.grex-lock: belongs to "));
  ::chmod(dir.path().c_str(), 0700);
  CHECK(run_tool({"run", dir.path(), "--", "true"}, as_nobody()).ended == exited(77));
}

// SECURITY.md: create the lock file first, in a sticky directory | it is locked all the same, despite
// `fs.protected_regular`
TEST_CASE("in a sticky directory another user's lock file is locked despite fs.protected_regular") {
  const FlatLayout one_file;
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 01777);
  write_file(dir / ".grex-lock", "");
  ::chmod((dir / ".grex-lock").c_str(), 0666);
  REQUIRE(::chown((dir / ".grex-lock").c_str(), 65533, 65533) == 0);
  // Refused with O_CREAT only if the sysctl is on; without it this is a plain lock.
  CHECK(run_tool({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}, as_nobody()).ended == exited(1));
  // The same refusal, whatever the sysctl is.
  const std::string try_lock = "flock -n 9; echo $?";
  const Finished refused = run_tool({"run", dir.path(), "--", "sh", "-c", "exec 9<.grex-lock; " + try_lock},
                                    {.directory = dir.path(), .before_exec = refuse_o_creat});
  CHECK(refused.out == "1\n");
  CHECK(run_tool({"run", dir / "none", "--create", "--", "true"}, {.before_exec = refuse_o_creat}).ended == exited(73));
}

TEST_CASE("on a read-only file system an existing lock file can be locked, but none created") {
  const FlatLayout one_file;
  const TempDir dir;
  const std::string pack = dir.make("app");
  write_file(pack + "/.grex-lock", "");
  // A mount in its own namespace, which ends with the shell.
  const std::string mounted =
      "mount --bind " + pack + " " + pack + " && mount -o remount,ro,bind " + pack + " && cd " + pack + " && ";
  const auto in_namespace = [&](const std::string& script) {
    return finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted + script});
  };
  CHECK(in_namespace(grex_lock() + " run . -- flock -n .grex-lock true").ended == exited(1));
  const Finished create = in_namespace(grex_lock() + " run -t workspace-sync . -- true");
  CHECK(create.ended == exited(73));
  CHECK(create.err.find("Read-only file system") != std::string::npos);
}
