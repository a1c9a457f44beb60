#include "sys/lock/flock.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using sys::Acquire;
using sys::Mode;
using sys::OpenFor;
using test::TempDir;

namespace {

Result<sys::LockFile> open_lock(const std::string& path, OpenFor purpose = OpenFor::locking) {
  return sys::open_lock_file(path, purpose);
}

void check_unsafe(const std::string& path) {
  CAPTURE(path);
  const auto file = open_lock(path);
  REQUIRE_FALSE(file);
  CHECK(file.error().kind == ErrorKind::unsafe_file);
}

// Runs a check as the user nobody, in a child, because the tests may run as root.
bool passes_as_nobody(const std::function<bool()>& check) {
  test::Process child({"true"}, {.before_exec = [&check] {
                        test::as_nobody().before_exec();
                        ::_exit(check() ? 0 : 1);
                      }});
  return child.wait() == test::exited(0);
}

}  // namespace

TEST_CASE("a second opener is busy until the first closes") {
  const TempDir dir;
  auto first = open_lock(dir / "a");
  auto second = open_lock(dir / "a");
  REQUIRE(*sys::try_lock(first->fd.get(), Mode::exclusive) == Acquire::held);
  CHECK(*sys::try_lock(second->fd.get(), Mode::exclusive) == Acquire::busy);
  first->fd.reset();
  CHECK(*sys::try_lock(second->fd.get(), Mode::exclusive) == Acquire::held);
}

TEST_CASE("a lock file is opened close-on-exec") {
  const TempDir dir;
  const auto file = open_lock(dir / "a");
  CHECK((::fcntl(file->fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

// SECURITY.md: use a FIFO, a socket or a device, so that grex-lock hangs or has a side effect | refused immediately, 77
TEST_CASE("a symlink, a FIFO, a socket, a directory or a device is refused as a lock file") {
  const TempDir dir;
  std::filesystem::create_symlink(dir / "target", dir / "link");
  check_unsafe(dir / "link");
  CHECK_FALSE(test::exists(dir / "target"));
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0666) == 0);
  check_unsafe(dir / "fifo");
  dir.make("directory");
  check_unsafe(dir / "directory");
  check_unsafe("/dev/null");

  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE((dir / "socket").size() < sizeof address.sun_path);
  std::strcpy(address.sun_path, (dir / "socket").c_str());
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  check_unsafe(dir / "socket");
}

TEST_CASE("a missing lock file is created with its directories for locking, but not for probing") {
  const TempDir dir;
  const auto left = open_lock(dir / "a/b/lock", OpenFor::reading);
  REQUIRE_FALSE(left);
  CHECK(left.error().err == ENOENT);
  CHECK_FALSE(test::exists(dir / "a"));

  const UniqueFd directory(::open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  CHECK(sys::open_lock_file(directory.get(), "a/b/lock", OpenFor::locking));
  CHECK(test::exists(dir / "a/b/lock"));
}

TEST_CASE("only a lock file that was missing is new") {
  const TempDir dir;
  CHECK(open_lock(dir / "lock")->is_new);
  CHECK_FALSE(open_lock(dir / "lock")->is_new);
  CHECK_FALSE(open_lock(dir / "lock", OpenFor::reading)->is_new);
}

TEST_CASE("a lock that stays busy is given up after a time") {
  const TempDir dir;
  const auto first = open_lock(dir / "a");
  const auto second = open_lock(dir / "a");
  const auto time = std::chrono::milliseconds(5);
  CHECK(*sys::try_lock_for(first->fd.get(), Mode::exclusive, time) == Acquire::held);
  CHECK(*sys::try_lock_for(second->fd.get(), Mode::exclusive, time) == Acquire::busy);
}

TEST_CASE("a read-only lock file can be locked") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  test::write_file(dir / "lock", "");
  ::chmod((dir / "lock").c_str(), 0444);
  CHECK(passes_as_nobody([&dir] {
    const auto file = open_lock(dir / "lock");
    return file && file->must_not_write && *sys::try_lock(file->fd.get(), Mode::exclusive) == Acquire::held;
  }));
}

TEST_CASE("an unreadable lock file is a permission error, and one that can't be created is a create error") {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  test::write_file(dir / "secret", "");
  ::chmod((dir / "secret").c_str(), 0);
  CHECK(passes_as_nobody([&dir] {
    const auto file = open_lock(dir / "secret");
    return !file && file.error().kind == ErrorKind::permission && file.error().err == EACCES;
  }));
  ::chmod(dir.path().c_str(), 0555);
  CHECK(passes_as_nobody([&dir] {
    const auto file = open_lock(dir / "new");
    return !file && file.error().kind == ErrorKind::create && file.error().err == EACCES;
  }));
}

// SECURITY.md: leave no descriptors, no memory, no processes, or limit file sizes | the documented exit code; a command
// never runs without its lock
TEST_CASE("running out of descriptors is a system error") {
  const TempDir dir;
  std::vector<UniqueFd> all;
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) all.emplace_back(fd);
  const auto file = open_lock(dir / "lock");
  all.clear();
  REQUIRE_FALSE(file);
  CHECK(file.error().kind == ErrorKind::system);
  CHECK(file.error().err == EMFILE);
}

TEST_CASE("the errors of flock have their documented kinds") {
  CHECK(sys::flock_error(EBADF).kind == ErrorKind::permission);
  CHECK(sys::flock_error(ENOLCK).kind == ErrorKind::system);
  CHECK(sys::flock_error(ENOMEM).kind == ErrorKind::system);
  CHECK(sys::flock_error(EOPNOTSUPP).kind == ErrorKind::system);
  CHECK(sys::flock_error(ENOSYS).kind == ErrorKind::system);
  CHECK(sys::flock_error(EIO).kind == ErrorKind::io);
}
