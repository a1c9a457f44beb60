#include "sys/file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>

#include "support/temp_dir.hpp"

using namespace grex;
using sys::FileType;
using test::TempDir;

TEST_CASE("a file's status tells its type and follows no symlink") {
  const TempDir dir;
  test::write_file(dir / "file", "x");
  std::filesystem::create_symlink(dir / "file", dir / "link");
  CHECK(sys::status_of(dir / "file")->type == FileType::regular);
  CHECK(sys::status_of(dir / "link")->type == FileType::other);
  CHECK(sys::status_of(dir.path())->type == FileType::directory);
  CHECK(sys::status_of(dir / "none")->type == FileType::absent);
  CHECK(sys::status_of(dir / "file/below")->type == FileType::absent);
}

TEST_CASE("a directory is opened by any spelling under its canonical name") {
  const TempDir dir;
  const std::string real = dir.make("a (deleted)");
  std::filesystem::create_symlink(real, dir / "link");
  CHECK(sys::open_directory(dir / "link/../link/.")->path == real);
  CHECK(sys::open_directory("/")->path == "/");
}

TEST_CASE("content is replaced as a whole and the start of it read") {
  const TempDir dir;
  test::write_file(dir / "file", "a longer content than the next");
  const UniqueFd fd(::open((dir / "file").c_str(), O_RDWR | O_CLOEXEC));
  CHECK(sys::replace_content(fd.get(), "new"));
  CHECK(test::content_of(dir / "file") == "new");
  CHECK(*sys::read_start(fd.get(), 2) == "ne");
  CHECK(*sys::read_start(fd.get(), 200) == "new");
  CHECK(sys::replace_content(fd.get(), ""));
  CHECK(test::content_of(dir / "file").empty());
}

TEST_CASE("a long file is read up to the limit") {
  const TempDir dir;
  const std::string text(100'000, 'x');
  test::write_file(dir / "file", text);
  CHECK(*sys::read_file(dir / "file", 1'000'000) == text);
  CHECK(sys::read_file(dir / "file", 70'000)->size() == 70'000);
  CHECK_FALSE(sys::read_file(dir / "none", 10));
}

TEST_CASE("a full device is an error, not a loss") {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const auto written = sys::write_all(full.get(), "text");
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == ErrorKind::io);
  CHECK(written.error().err == ENOSPC);
}

TEST_CASE("the place of a file that is missing is that of the nearest directory above") {
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
