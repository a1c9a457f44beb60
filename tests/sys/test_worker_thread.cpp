#include "sys/process/worker_thread.hpp"

#include <doctest/doctest.h>

#include <new>

using namespace grex;
using namespace std::chrono_literals;

TEST_CASE("an exception in a worker thread, such as that of no memory, ends only the thread") {
  sys::WorkerThread thread;
  REQUIRE(thread.start([](int) { throw std::bad_alloc(); }));
  CHECK(thread.end_by(std::nullopt));
  CHECK(sys::result_within<int>(1min, []() -> int { throw std::bad_alloc(); }) == std::nullopt);
  CHECK(sys::result_within<int>(1min, [] { return 7; }) == 7);
}
