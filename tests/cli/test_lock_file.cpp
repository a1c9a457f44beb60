// The lock file as found on disk.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

// Exchanges two names, all the time.
std::jthread exchanging(const std::string& one, const std::string& other) {
  const auto exchange = [one, other] {
    return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
  };
  REQUIRE(exchange() == 0);
  return std::jthread([exchange](const std::stop_token& stop) {
    while (!stop.stop_requested()) exchange();
  });
}

}  // namespace

TEST_CASE("a symlink in the lock file's place is refused, whichever way it points") {
  const TempDir dir;
  std::filesystem::create_symlink(dir / "target", dir / ".grex-lock");
  for (int i = 0; i < 2; ++i) {
    const Finished finished = run_tool({"run", dir.path(), "--", "echo", "ran"});
    CHECK(finished.ended == exited(77));
    CHECK(finished.out.empty());
    CHECK(finished.err.starts_with("grex-lock: unsafe lock file: " + dir.path() +
                                   "/.grex-lock: it is a symbolic link\n"));
    CHECK(run_tool({"probe", dir.path()}).ended == exited(77));
    write_file(dir / "target", "content");
  }
  CHECK(content_of(dir / "target") == "content");
}

TEST_CASE("a symlink in the place of .grex leads nowhere") {
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

TEST_CASE("a symlink that takes the lock file's place at any moment leads nowhere") {
  const TempDir dir;
  dir.make("pack");
  write_file(dir / "victim", "precious");
  write_file(dir / "pack/.grex-lock", "");
  REQUIRE(::symlink("../victim", (dir / "pack/link").c_str()) == 0);
  const std::jthread attacker = exchanging(dir / "pack/.grex-lock", dir / "pack/link");
  int locked = 0;
  for (int i = 0; i < tries(100); ++i) {
    const Finished finished = run_tool({"run", dir / "pack", "--", "flock", "-n", dir / "victim", "true"});
    const bool is_refused = finished.ended == exited(77);
    REQUIRE((is_refused || finished.ended == exited(0)));
    locked += is_refused ? 0 : 1;
  }
  MESSAGE(locked << " of " << tries(100) << " got the lock");
  CHECK(content_of(dir / "victim") == "precious");
}

TEST_CASE("a symlink that takes the place of .grex at any moment leads nowhere") {
  const TempDir dir;
  const std::string elsewhere = dir.make("elsewhere");
  dir.make("pack/.grex");
  REQUIRE(::symlink(elsewhere.c_str(), (dir / "pack/link").c_str()) == 0);
  const std::jthread attacker = exchanging(dir / "pack/.grex", dir / "pack/link");
  for (int i = 0; i < tries(100); ++i) {
    const Finished finished = run_tool({"run", "--layout", "nested", dir / "pack", "--", "true"});
    REQUIRE((finished.ended == exited(77) || finished.ended == exited(0)));
  }
  CHECK(finish({"ls", "-A", elsewhere}).out.empty());
}

TEST_CASE("a lock file that is another file, too, is locked and its content left alone") {
  const TempDir dir;
  write_file(dir / "victim", "precious");
  dir.make("pack");
  std::filesystem::create_hard_link(dir / "victim", dir / "pack/.grex-lock");
  CHECK(run_tool({"run", dir / "pack", "--", "flock", "-n", dir / "victim", "true"}).ended == exited(1));
  write_file(dir / ".grex-lock", "mine");
  const Finished told = run_tool({"run", "-v", dir.path(), "--", "true"});
  CHECK(told.err.find("no record written: " + (dir / ".grex-lock") + " may only be read") != std::string::npos);
  CHECK(content_of(dir / ".grex-lock") == "mine");
  CHECK(finish(bash("exec 9<>pack/.grex-lock; \"$LOCK\" fd 9; \"$LOCK\" fd -u 9"), in(dir.path())).ended == exited(0));
  CHECK(content_of(dir / "victim") == "precious");
}

TEST_CASE("a hard link that comes and goes at any moment does not get its file emptied") {
  const TempDir dir;
  dir.make("pack");
  write_file(dir / "victim", "precious");
  const std::jthread attacker([victim = dir / "victim", lock = dir / "pack/.grex-lock"](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::link(victim.c_str(), lock.c_str());
      ::unlink(lock.c_str());
    }
  });
  for (int i = 0; i < tries(200); ++i) {
    REQUIRE(run_tool({"run", dir / "pack", "--", "true"}).ended == exited(0));
    REQUIRE(content_of(dir / "victim") == "precious");
  }
}

TEST_CASE("a FIFO in the lock file's place is refused and does not block") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / ".grex-lock").c_str(), 0666) == 0);
  CHECK(run_tool({"run", dir.path(), "--", "true"}).ended == exited(77));
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(77));
  CHECK(run_tool({"probe", dir.path()}).ended == exited(77));
  CHECK(run_tool({"status", dir.path()}).ended == exited(0));
}

TEST_CASE("a lock file is never truncated by opening and never removed") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "kept");
  CHECK(run_tool({"run", "-s", dir.path(), "--", "true"}).ended == exited(0));
  CHECK(content_of(dir / ".grex-lock") == "kept");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(75));
  CHECK(content_of(dir / ".grex-lock") == "kept");
}

TEST_CASE("another user's lock file can be locked though it may only be read") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  write_file(dir / ".grex-lock", "");
  ::chmod((dir / ".grex-lock").c_str(), 0644);
  CHECK(run_tool({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}, as_nobody()).ended == exited(1));
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}, as_nobody()).ended == exited(75));
}

TEST_CASE("a lock file that may not be read is no permission and one that cannot be created says so") {
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
  CHECK(denied.err == "grex-lock: no permission: " + dir.path() + "/.grex-lock: Permission denied\n");
  ::chmod(dir.path().c_str(), 0700);
  CHECK(run_tool({"run", dir.path(), "--", "true"}, as_nobody()).ended == exited(77));
}

TEST_CASE("in a sticky directory another user's lock file is locked in spite of fs.protected_regular") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 01777);
  write_file(dir / ".grex-lock", "");
  ::chmod((dir / ".grex-lock").c_str(), 0666);
  if (::geteuid() == 0) REQUIRE(::chown((dir / ".grex-lock").c_str(), 65533, 65533) == 0);
  // Refused with O_CREAT only where the sysctl is on; without it this is a plain lock.
  CHECK(run_tool({"run", dir.path(), "--", "flock", "-n", dir / ".grex-lock", "true"}, as_nobody()).ended == exited(1));
}

TEST_CASE("on a read-only file system a lock file that is there can be locked and none can be made") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  write_file(pack + "/.grex-lock", "");
  // A mount of our own, in a namespace that goes with the shell.
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
