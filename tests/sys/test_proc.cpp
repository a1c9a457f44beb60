#include "sys/process/proc.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

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
