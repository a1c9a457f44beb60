#include "sys/file/io.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using test::TempDir;

TEST_CASE("content is replaced as a whole, and its start can be read") {
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

namespace {

// The events that inotify(7) reported about one file, without repetitions.
std::vector<std::uint32_t> read_events(int inotify) {
  alignas(inotify_event) std::array<char, 4096> buffer;
  const ssize_t size = ::read(inotify, buffer.data(), buffer.size());
  std::vector<std::uint32_t> events;
  for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(sizeof(inotify_event))) {
    const std::uint32_t mask = reinterpret_cast<const inotify_event*>(buffer.data() + at)->mask;
    if (events.empty() || events.back() != mask) events.push_back(mask);
  }
  return events;
}

}  // namespace

TEST_CASE("a close between the truncation and the write avoids a flush to disk") {
  const TempDir dir;
  test::write_file(dir / "file", "old");
  const UniqueFd fd(::open((dir / "file").c_str(), O_RDWR | O_CLOEXEC));
  const UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  ::inotify_add_watch(inotify.get(), (dir / "file").c_str(), IN_MODIFY | IN_CLOSE);
  CHECK(sys::replace_content(fd.get(), "new"));
  CHECK(read_events(inotify.get()) == std::vector<std::uint32_t>{IN_MODIFY, IN_CLOSE_NOWRITE, IN_MODIFY});
  CHECK(sys::replace_content(fd.get(), ""));
  CHECK(sys::replace_content(fd.get(), "new"));
  CHECK(read_events(inotify.get()) == std::vector<std::uint32_t>{IN_MODIFY});
}

TEST_CASE("a long file is read up to the limit") {
  const TempDir dir;
  const std::string text(100'000, 'x');
  test::write_file(dir / "file", text);
  CHECK(*sys::read_file(dir / "file", 1'000'000) == text);
  CHECK(sys::read_file(dir / "file", 70'000)->size() == 70'000);
  CHECK_FALSE(sys::read_file(dir / "none", 10));
}

TEST_CASE("writing to a full device is an error") {
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const auto written = sys::write_all(full.get(), "text");
  REQUIRE_FALSE(written);
  CHECK(written.error().kind == ErrorKind::io);
  CHECK(written.error().err == ENOSPC);
}

TEST_CASE("the end of a file is replaced, or appended to whatever it is by now") {
  const TempDir dir;
  test::write_file(dir / "file", "0123456789");
  const UniqueFd fd(::open((dir / "file").c_str(), O_RDWR | O_CLOEXEC));
  CHECK(sys::replace_end(fd.get(), 8, "89", "a longer end"));
  CHECK(test::content_of(dir / "file") == "01234567a longer end");
  CHECK(sys::replace_end(fd.get(), 2, "234567a longer end", "short"));
  CHECK(test::content_of(dir / "file") == "01short");
  CHECK(sys::replace_end(fd.get(), 3, "", " more"));
  CHECK(test::content_of(dir / "file") == "01short more");
}

TEST_CASE("if the end of a file can't be replaced, the file stays as it was") {
  const TempDir dir;
  test::write_file(dir / "file", "0123456789");
  const UniqueFd fd(::open((dir / "file").c_str(), O_RDWR | O_CLOEXEC));
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const rlimit low = {12, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &low) == 0);
  const auto replaced = sys::replace_end(fd.get(), 5, "56789", "a longer end");
  const auto appended = sys::replace_end(fd.get(), 10, "", "more than fits");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  CHECK_FALSE(replaced);
  CHECK_FALSE(appended);
  CHECK(test::content_of(dir / "file") == "0123456789");
}
