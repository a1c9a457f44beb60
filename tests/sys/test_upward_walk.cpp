#include <doctest/doctest.h>

#include <cerrno>
#include <filesystem>

#include "support/temp_dir.hpp"
#include "sys/file/upward_walk.hpp"

using namespace grex;
using test::TempDir;

TEST_CASE("a walk upwards visits each directory above, and ends at the root directory") {
  const TempDir dir;
  auto walk = sys::UpwardWalk::from(dir.make("a/b"));
  REQUIRE(walk);
  std::filesystem::path expected = dir / "a/b";
  for (;;) {
    CHECK(walk->directory()->path == expected);
    const auto above = walk->step();
    REQUIRE(above);
    if (!*above) break;
    REQUIRE(expected.has_relative_path());
    expected = expected.parent_path();
  }
  CHECK(expected == "/");
}

TEST_CASE("a walk upwards goes on above the directory where that is now, if it was moved") {
  const TempDir dir;
  dir.make("a/b");
  dir.make("c");
  auto walk = sys::UpwardWalk::from(dir / "a/b");
  REQUIRE(walk);
  std::filesystem::rename(dir / "a", dir / "c/moved");
  CHECK(walk->directory()->path == dir / "c/moved/b");
  CHECK(*walk->step());
  CHECK(walk->directory()->path == dir / "c/moved");
  dir.make("a/b");  // another one has its old name
  CHECK(walk->shown_path() == dir / "c/moved");
  CHECK(*walk->step());
  CHECK(walk->directory()->path == dir / "c");
}

TEST_CASE("a walk upwards begins at a directory, also through a symlink, but at nothing else") {
  const TempDir dir;
  test::write_file(dir / "file", "");
  std::filesystem::create_symlink(dir.make("a/b"), dir / "link");
  auto walk = sys::UpwardWalk::from(dir / "link");
  REQUIRE(walk);
  CHECK(*walk->step());
  CHECK(walk->directory()->path == dir / "a");
  CHECK(sys::UpwardWalk::from("").error().err == ENOENT);
  CHECK(sys::UpwardWalk::from(dir / "none").error().err == ENOENT);
  CHECK(sys::UpwardWalk::from(dir / "file").error().err == ENOTDIR);
}

TEST_CASE("only a real directory is opened below another") {
  const TempDir dir;
  test::write_file(dir / "file", "");
  dir.make("a");
  std::filesystem::create_symlink("a", dir / "link");
  const auto walk = sys::UpwardWalk::from(dir.path());
  REQUIRE(walk);
  CHECK(sys::open_subdirectory(walk->fd(), "a"));
  CHECK(sys::open_subdirectory(walk->fd(), "none").error().err == ENOENT);
  CHECK(sys::open_subdirectory(walk->fd(), "file").error().err == ENOTDIR);
  CHECK(sys::open_subdirectory(walk->fd(), "link").error().err == ENOTDIR);
}
