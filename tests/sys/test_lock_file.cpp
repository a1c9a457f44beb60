#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <thread>

#include "support/temp_dir.hpp"
#include "sys/lock/lock_file.hpp"

using namespace grex;
using grex::test::TempDir;

// SECURITY.md: use a hard link to a victim's file, so that the record overwrites it | it is locked, but nothing is
// written to a file that has a second name, or that contains anything else than a record
TEST_CASE("a name that is being removed is never the only one") {
  const TempDir dir;
  const std::string name = dir / "name";
  const auto file = sys::open_lock_file(sys::LockFileName(dir / "file"), sys::OpenFor::recording);
  REQUIRE(file);
  const auto add_and_remove = [file = dir / "file", name](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::link(file.c_str(), name.c_str());
      ::unlink(name.c_str());
    }
  };
  // With two of them, one is more often interrupted in the middle.
  const std::jthread attacker(add_and_remove);
  const std::jthread another(add_and_remove);
  const sys::LockFileName looked_up(name);
  int fooled = 0;
  for (int i = 0; i < 100'000; ++i) fooled += sys::status_if_only_name(*file, looked_up) ? 1 : 0;
  CHECK(fooled == 0);
}

TEST_CASE("the only name of a file stays, whatever looks whether it is the only one") {
  const TempDir dir;
  const sys::LockFileName name(dir / "file");
  const auto file = sys::open_lock_file(name, sys::OpenFor::recording);
  REQUIRE(file);
  CHECK(sys::status_if_only_name(*file, name));
  const auto named = sys::look_up(name);
  REQUIRE(named);
  CHECK(named->id == file->id);
}

TEST_CASE("for a moment after a second name has gone, it is not certain that no other is there") {
  const TempDir dir;
  const sys::LockFileName name(dir / "file");
  const auto file = sys::open_lock_file(name, sys::OpenFor::recording);
  REQUIRE(file);
  REQUIRE(::link(name.name.c_str(), (dir / "second").c_str()) == 0);
  CHECK_FALSE(sys::status_if_only_name(*file, name));
  REQUIRE(::unlink((dir / "second").c_str()) == 0);
  auto before = sys::status_of(file->fd.get());
  REQUIRE(before);
  // Whether that moment is over depends on the machine: the times do not.
  before->changed = std::chrono::system_clock::now().time_since_epoch() + std::chrono::hours(1);
  CHECK(sys::count_names(*before, *before) == sys::Names::unknown);
  before->modified = before->changed;
  CHECK(sys::count_names(*before, *before) == sys::Names::one);
  before->changed -= std::chrono::hours(2);
  CHECK(sys::count_names(*before, *before) == sys::Names::one);
}

TEST_CASE("a file that gets its name when it is locked already may be written at once") {
  const TempDir dir;
  const sys::LockFileName name(dir / "file");
  const auto file = sys::create_locked(name, sys::OpenFor::recording, [](int) { return true; });
  REQUIRE(file);
  if (!*file) return;  // the file system can't do that
  CHECK(sys::status_if_only_name(**file, name));
}
