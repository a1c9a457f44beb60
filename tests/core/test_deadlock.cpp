#include <doctest/doctest.h>

#include "core/inspect/deadlock.hpp"

using namespace grex::core;
using grex::sys::FileId;

namespace {

constexpr FileId a = {1, 1};
constexpr FileId b = {1, 2};
constexpr FileId c = {1, 3};
constexpr FileId d = {1, 4};

using Circles = std::vector<Cycle>;

Circles circles_of(const std::vector<WaitingProcess>& processes) {
  Circles circles;
  for (const Deadlock& deadlock : find_deadlocks(processes)) circles.push_back(deadlock.cycle);
  return circles;
}

}  // namespace

TEST_CASE("two that wait for each other are a deadlock, from the lower number") {
  CHECK(circles_of({{20, {a}, {b}}, {10, {b}, {a}}}) == Circles{{{10, b}, {20, a}}});
}

TEST_CASE("one that waits for what it has is a deadlock") { CHECK(circles_of({{7, {a}, {a}}}) == Circles{{{7, a}}}); }

TEST_CASE("a line that ends with one who waits for nobody is none") {
  CHECK(circles_of({}).empty());
  CHECK(circles_of({{1, {a}, {b}}, {2, {b}, {c}}, {3, {c}, {}}}).empty());
  CHECK(circles_of({{1, {a}, {}}, {2, {a}, {}}}).empty());
}

TEST_CASE("a longer cycle is told in its order, and its shortest way") {
  CHECK(circles_of({{1, {b}, {a}}, {2, {c}, {b}}, {3, {a}, {c}}}) == Circles{{{1, b}, {2, c}, {3, a}}});
  // 3 holds what 1 waits for, too.
  CHECK(circles_of({{1, {b}, {a}}, {2, {c}, {b}}, {3, {a}, {b, c}}}) == Circles{{{1, b}, {3, a}}});
}

TEST_CASE("whoever would take any of several locks is stuck only if all are had by the stuck") {
  CHECK(circles_of({{1, {b, c}, {a}}, {2, {a}, {b}}}).empty());
  CHECK(circles_of({{1, {b, c}, {a}}, {2, {a}, {b}}, {3, {a}, {c}}}).size() == 1);
}

TEST_CASE("those who wait in front of a deadlock are stuck with it, and others are not") {
  const auto deadlocks = find_deadlocks({{1, {a}, {}}, {2, {b}, {a}}, {3, {c}, {b}}, {4, {b}, {c}}, {5, {d}, {}}});
  REQUIRE(deadlocks.size() == 1);
  CHECK(deadlocks[0].cycle == Cycle{{3, c}, {4, b}});
  CHECK(deadlocks[0].stuck == std::vector<pid_t>{1, 2, 3, 4});
}

TEST_CASE("two deadlocks are told as two") {
  CHECK(circles_of({{1, {b}, {a}}, {2, {a}, {b}}, {3, {d}, {c}}, {4, {c}, {d}}}) ==
        Circles{{{1, b}, {2, a}}, {{3, d}, {4, c}}});
}

TEST_CASE("a lock that several share keeps a waiter as long as one of them is stuck") {
  CHECK(circles_of({{1, {b}, {a}}, {2, {a}, {b}}, {3, {d}, {b}}}) == Circles{{{1, b}, {2, a}}});
}

TEST_CASE("thousands who wait in front of a deadlock, or in a long line, are looked through in a moment") {
  constexpr pid_t many = 20'000;
  std::vector<WaitingProcess> processes = {{1, {b}, {a}}, {2, {a}, {b}}};
  // Each waits for the one before it, and all have one lock.
  for (pid_t pid = 3; pid < many; ++pid) {
    const auto number = static_cast<std::uint64_t>(pid);
    processes.push_back({pid, {pid == 3 ? a : FileId{2, number - 1}}, {{2, number}, c}});
  }
  const auto deadlocks = find_deadlocks(processes);
  REQUIRE(deadlocks.size() == 1);
  CHECK(deadlocks[0].cycle == Cycle{{1, b}, {2, a}});
  CHECK(deadlocks[0].stuck.size() == many - 1);
}
