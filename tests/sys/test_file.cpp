#include "sys/file/file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cerrno>
#include <filesystem>

#include "support/temp_dir.hpp"

using namespace grex;
using sys::FileType;
using test::TempDir;

TEST_CASE("a file's status shows its type and follows no symlink") {
  const TempDir dir;
  test::write_file(dir / "file", "x");
  std::filesystem::create_symlink(dir / "file", dir / "link");
  CHECK(sys::status_of(dir / "file")->type == FileType::regular);
  CHECK(sys::status_of(dir / "link")->type == FileType::symlink);
  CHECK(sys::status_of(dir.path())->type == FileType::directory);
  CHECK(sys::status_of(dir / "none")->type == FileType::absent);
  CHECK(sys::status_of(dir / "file/below")->type == FileType::absent);
}

TEST_CASE("a directory opened by any spelling has its canonical path") {
  const TempDir dir;
  const std::string real = dir.make("a (deleted)");
  std::filesystem::create_symlink(real, dir / "link");
  CHECK(sys::open_directory(dir / "link/../link/.")->path == real);
  CHECK(sys::open_directory("/")->path == "/");
}

TEST_CASE("the place of a missing file is that of the nearest directory above it") {
  const TempDir dir;
  test::write_file(dir / "file", "");
  std::filesystem::create_symlink("/proc/self", dir / "link");
  const auto here = sys::place_of(dir.path());
  REQUIRE(here);
  const UniqueFd fd(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  for (const auto& place : {sys::place_of(dir / "file"), sys::place_of(dir / "none/below/that"),
                            sys::place_of(dir / "file/below"), sys::place_of(dir / "link"), sys::place_of(fd.get())}) {
    REQUIRE(place);
    CHECK(place->mount == here->mount);
    CHECK(place->device == here->device);
  }
  CHECK(sys::place_of("/proc/self")->device != here->device);
  CHECK(sys::place_of(-1).error().err == EBADF);
}
