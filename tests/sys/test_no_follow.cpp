#include "sys/file/no_follow.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "support/temp_dir.hpp"
#include "sys/file/file.hpp"

using namespace grex;
using sys::Owner;
using test::TempDir;

namespace {

UniqueFd open_dir(const std::string& path) { return sys::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY); }

}  // namespace

TEST_CASE("a directory is opened by a relative path, an absolute one, and through the one above") {
  const TempDir dir;
  const std::string deep = dir.make("a/b");
  const UniqueFd a = open_dir(dir / "a");
  for (const std::string& path : {std::string("b"), std::string("./b//"), std::string("../a/b"), deep}) {
    CAPTURE(path);
    const auto opened = sys::open_directory_no_follow(a.get(), path, Owner::anyone);
    REQUIRE(opened);
    CHECK(sys::path_of(opened->get()) == deep);
  }
}

TEST_CASE("a symlink, a file and a missing name on the way to a directory are errors") {
  const TempDir dir;
  dir.make("a/b");
  test::write_file(dir / "file", "");
  std::filesystem::create_directory_symlink(dir / "a", dir / "link");
  const UniqueFd top = open_dir(dir.path());
  const auto error = [&top](const char* path) {
    return sys::open_directory_no_follow(top.get(), path, Owner::anyone).error();
  };
  for (const char* const path : {"link", "link/b", "a/../link/b"}) {
    CHECK(error(path).kind == ErrorKind::unsafe_file);
    CHECK(error(path).err == ELOOP);
  }
  CHECK(error("file").kind == ErrorKind::unsafe_file);
  CHECK(error("a/missing").err == ENOENT);
  const auto file = sys::open_file_no_follow(top.get(), "link", O_RDONLY, Owner::anyone);
  REQUIRE_FALSE(file);
  CHECK(file.error().err == ELOOP);
}

TEST_CASE("another owner's directory or file is refused, but root's may come before one's own") {
  if (::geteuid() != 0) return;
  const TempDir dir;
  dir.make("theirs/ours");
  test::write_file(dir / "file", "");
  constexpr uid_t nobody = 65534;
  REQUIRE(::chown((dir / "theirs").c_str(), nobody, nobody) == 0);
  REQUIRE(::chown((dir / "file").c_str(), nobody, nobody) == 0);
  const UniqueFd top = open_dir(dir.path());
  for (const char* const path : {"theirs", "theirs/ours"}) {
    const auto refused = sys::open_directory_no_follow(top.get(), path, Owner::effective_user);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().op == sys::check_owner);
    CHECK(sys::open_directory_no_follow(top.get(), path, Owner::anyone));
  }
  CHECK_FALSE(sys::open_file_no_follow(top.get(), "file", O_RDONLY, Owner::effective_user));
  CHECK(sys::open_file_no_follow(top.get(), "file", O_RDONLY, Owner::anyone));

  // Through root's directories, down to their own.
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0755));
  REQUIRE(::seteuid(nobody) == 0);
  const auto own = sys::open_directory_no_follow(-1, dir / "theirs", Owner::effective_user);
  REQUIRE(::seteuid(0) == 0);
  CHECK(own);
}
