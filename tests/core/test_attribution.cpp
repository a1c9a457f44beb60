#include "core/inspect/attribution.hpp"

#include <doctest/doctest.h>

using namespace grex;
using core::attribute;
using core::KernelLock;
using core::Listing;
using core::SharedNumber;
using Locks = std::vector<KernelLock>;

namespace {

constexpr sys::FileId number = {39, 258};

KernelLock held_by(pid_t pid, sys::Mode mode = sys::Mode::exclusive) {
  return {KernelLock::Role::holder, mode, pid, number};
}
KernelLock awaited_by(pid_t pid) { return {KernelLock::Role::waiter, sys::Mode::exclusive, pid, number}; }

// What the descriptors of processes that hold only our file, or only others, show.
SharedNumber shown(const Locks& ours, const Locks& others) {
  SharedNumber both;
  both.ours.locks = ours;
  both.others.locks = others;
  for (const KernelLock& lock : ours) both.ours.openers.insert(lock.pid);
  for (const KernelLock& lock : others) both.others.openers.insert(lock.pid);
  return both;
}

}  // namespace

TEST_CASE("a lock counts for the file whose descriptor shows it") {
  const Locks listed = {held_by(1), held_by(2)};
  CHECK(attribute(listed, shown({held_by(1)}, {held_by(2)}), Listing::complete) == Locks{held_by(1)});
  CHECK(attribute(listed, shown({held_by(2)}, {held_by(1)}), Listing::complete) == Locks{held_by(2)});
  // Its acquirer has passed it on: the descriptor of another process shows the acquirer.
  SharedNumber inherited = shown({}, {held_by(2)});
  inherited.ours.locks = {held_by(1)};
  inherited.ours.openers = {7};
  CHECK(attribute(listed, inherited, Listing::incomplete) == Locks{held_by(1)});
}

TEST_CASE("a process that has locked two files with one number has a lock on each") {
  SharedNumber both = shown({held_by(1)}, {held_by(1)});
  CHECK(attribute({held_by(1)}, both, Listing::complete) == Locks{held_by(1)});
}

TEST_CASE("of locks that no descriptor shows, only one that must be ours counts") {
  CHECK(attribute({held_by(1)}, {}, Listing::complete) == Locks{held_by(1)});
  CHECK(attribute({held_by(1)}, {}, Listing::incomplete).empty());
  CHECK(attribute({held_by(1), held_by(2)}, {}, Listing::complete).empty());
  CHECK(attribute({held_by(1), held_by(2)}, shown({}, {held_by(1)}), Listing::complete) == Locks{held_by(2)});
  CHECK(attribute({held_by(1), held_by(2)}, shown({held_by(1)}, {}), Listing::complete) == Locks{held_by(1)});
}

TEST_CASE("a waiter counts for the file that it has open") {
  const Locks listed = {held_by(1), awaited_by(3), held_by(2), awaited_by(4), awaited_by(5)};
  SharedNumber facts = shown({held_by(1)}, {held_by(2)});
  facts.ours.openers.insert({3, 5});
  facts.others.openers.insert({4});
  CHECK(attribute(listed, facts, Listing::complete) == Locks{held_by(1), awaited_by(3), awaited_by(5)});
}

TEST_CASE("a waiter that has both files open, or can't be read, waits for the lock that it is listed under") {
  const Locks listed = {held_by(1), awaited_by(3), held_by(2), awaited_by(4)};
  SharedNumber facts = shown({held_by(1)}, {held_by(2)});
  CHECK(attribute(listed, facts, Listing::complete) == Locks{held_by(1), awaited_by(3)});
  facts.ours.openers.insert({3, 4});
  facts.others.openers.insert({3, 4});
  CHECK(attribute(listed, facts, Listing::complete) == Locks{held_by(1), awaited_by(3)});
}
