#include "sys/process/proc.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "support/fd.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;

TEST_CASE("each descriptor of a process is listed with its open file") {
  const test::TempDir dir;
  test::write_file(dir / "file", "");
  const UniqueFd file(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  const auto descriptors = sys::descriptors_of(::getpid());
  REQUIRE(descriptors);
  const auto is_it = [&file](const sys::OpenDescriptor& open) { return open.number == file.get(); };
  const auto found = std::find_if(descriptors->begin(), descriptors->end(), is_it);
  REQUIRE(found != descriptors->end());
  CHECK(found->file == sys::status_of(dir / "file")->id);
  CHECK(found->is_regular);
}

TEST_CASE("a process that closed all its descriptors has an empty list, and one that is gone has no list") {
  test::Process process({"python3", "-c", "import os, signal; os.closerange(0, 65536); signal.pause()"});
  CHECK(process.rest().empty());
  test::until([&process] {
    const auto descriptors = sys::descriptors_of(process.pid());
    return descriptors && descriptors->empty();
  });
  process.signal(SIGKILL);
  process.wait();
  CHECK_FALSE(sys::descriptors_of(process.pid()));
}

TEST_CASE("reading /proc/locks stops between two pages when it should") {
  const test::TempDir dir;
  // Several pages.
  std::vector<test::Fd> locks;
  for (int i = 0; i < 400; ++i) locks.push_back(test::lock_as_grex(dir / std::to_string(i)));
  int asked = 0;
  const sys::LockTableText whole = sys::lock_table_text([&asked] { return ++asked < 0; });
  CHECK_FALSE(whole.is_cut);
  REQUIRE(asked >= 3);
  int again = 0;
  const sys::LockTableText cut = sys::lock_table_text([&again] { return ++again == 2; });
  CHECK(again == 2);
  CHECK(cut.is_cut);
  CHECK_FALSE(cut.single_read);
  CHECK(cut.text.ends_with('\n'));
  CHECK(cut.text.size() < whole.text.size());
}

TEST_CASE("listing very many descriptors stops when it should") {
  const test::TempDir dir;
  test::write_file(dir / "file", "");
  std::vector<UniqueFd> files;
  for (int i = 0; i < 600; ++i) files.emplace_back(::open((dir / "file").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(sys::descriptors_of(::getpid(), [] { return false; })->size() > 600);
  CHECK_FALSE(sys::descriptors_of(::getpid(), [] { return true; }));
}
