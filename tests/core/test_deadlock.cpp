#include <doctest/doctest.h>

#include "core/inspect/deadlock.hpp"

using namespace grex::core;
using grex::sys::FileId;

namespace {

constexpr FileId a = {1, 1};
constexpr FileId b = {1, 2};
constexpr FileId c = {1, 3};
constexpr FileId d = {1, 4};

using Cycles = std::vector<Cycle>;

Cycles cycles_of(const std::vector<WaitingProcess>& processes) {
  Cycles cycles;
  for (const Deadlock& deadlock : find_deadlocks(processes)) cycles.push_back(deadlock.cycle);
  return cycles;
}

}  // namespace

TEST_CASE("two processes that wait for each other are a deadlock, listed from the lower PID") {
  CHECK(cycles_of({{20, {a}, {b}}, {10, {b}, {a}}}) == Cycles{{{10, b}, {20, a}}});
}

TEST_CASE("a process that waits for its own lock is a deadlock") {
  CHECK(cycles_of({{7, {a}, {a}}}) == Cycles{{{7, a}}});
}

TEST_CASE("a chain of waiters that ends with a process that doesn't wait is no deadlock") {
  CHECK(cycles_of({}).empty());
  CHECK(cycles_of({{1, {a}, {b}}, {2, {b}, {c}}, {3, {c}, {}}}).empty());
  CHECK(cycles_of({{1, {a}, {}}, {2, {a}, {}}}).empty());
}

TEST_CASE("a longer cycle is listed in its order, along its shortest path") {
  CHECK(cycles_of({{1, {b}, {a}}, {2, {c}, {b}}, {3, {a}, {c}}}) == Cycles{{{1, b}, {2, c}, {3, a}}});
  // 3 holds what 1 waits for, too.
  CHECK(cycles_of({{1, {b}, {a}}, {2, {c}, {b}}, {3, {a}, {b, c}}}) == Cycles{{{1, b}, {3, a}}});
}

TEST_CASE("a process that waits for one of several locks is stuck only if stuck processes hold all of them") {
  CHECK(cycles_of({{1, {b, c}, {a}}, {2, {a}, {b}}}).empty());
  CHECK(cycles_of({{1, {b, c}, {a}}, {2, {a}, {b}}, {3, {a}, {c}}}).size() == 1);
}

TEST_CASE("processes that wait for deadlocked ones are stuck, too, and others are not") {
  const auto deadlocks = find_deadlocks({{1, {a}, {}}, {2, {b}, {a}}, {3, {c}, {b}}, {4, {b}, {c}}, {5, {d}, {}}});
  REQUIRE(deadlocks.size() == 1);
  CHECK(deadlocks[0].cycle == Cycle{{3, c}, {4, b}});
  CHECK(deadlocks[0].stuck == std::vector<pid_t>{1, 2, 3, 4});
}

TEST_CASE("two deadlocks are reported as two") {
  CHECK(cycles_of({{1, {b}, {a}}, {2, {a}, {b}}, {3, {d}, {c}}, {4, {c}, {d}}}) ==
        Cycles{{{1, b}, {2, a}}, {{3, d}, {4, c}}});
}

TEST_CASE("a waiter for a shared lock is stuck as long as one of its holders is") {
  CHECK(cycles_of({{1, {b}, {a}}, {2, {a}, {b}}, {3, {d}, {b}}}) == Cycles{{{1, b}, {2, a}}});
}

TEST_CASE("thousands of waiters behind a deadlock, or in a long chain, are searched quickly") {
  constexpr pid_t many = 20'000;
  std::vector<WaitingProcess> processes = {{1, {b}, {a}}, {2, {a}, {b}}};
  // Each waits for the one before it, and all share one lock.
  for (pid_t pid = 3; pid < many; ++pid) {
    const auto number = static_cast<std::uint64_t>(pid);
    processes.push_back({pid, {pid == 3 ? a : FileId{2, number - 1}}, {{2, number}, c}});
  }
  const auto deadlocks = find_deadlocks(processes);
  REQUIRE(deadlocks.size() == 1);
  CHECK(deadlocks[0].cycle == Cycle{{1, b}, {2, a}});
  CHECK(deadlocks[0].stuck.size() == many - 1);
}
