#include "sys/content.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <cerrno>
#include <string>

#include "base/unique_fd.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using test::TempDir;

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
