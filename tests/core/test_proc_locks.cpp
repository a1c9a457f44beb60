#include <doctest/doctest.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "core/inspect/proc_locks.hpp"

using namespace grex;
using core::KernelLock;

TEST_CASE("flock lines of /proc/locks are read, holders and waiters, and others are skipped") {
  const auto locks = core::parse_lock_table(
      "1: FLOCK  ADVISORY  WRITE 1234 08:02:131079 0 EOF\n"
      "1: -> FLOCK  ADVISORY  READ 1240 08:02:131079 0 EOF\n"
      "1:  -> FLOCK  ADVISORY  WRITE 1241 08:02:131079 0 EOF\n"
      "2: POSIX  ADVISORY  WRITE 99 00:16:1098 0 EOF\n"
      "3: OFDLCK ADVISORY  WRITE -1 00:16:1098 0 0\n"
      "4: LEASE  ACTIVE    READ 7 08:02:131080 0 EOF\n"
      "5: FLOCK  ADVISORY  READ 55 fe:00:18446744073709551615 0 EOF");
  REQUIRE(locks.size() == 4);
  CHECK(locks[0].role == KernelLock::Role::holder);
  CHECK(locks[0].mode == sys::Mode::exclusive);
  CHECK(locks[0].pid == 1234);
  CHECK(locks[0].file == sys::FileId{makedev(8, 2), 131079});
  CHECK(locks[1].role == KernelLock::Role::waiter);
  CHECK(locks[1].mode == sys::Mode::shared);
  CHECK(locks[2].role == KernelLock::Role::waiter);
  CHECK(locks[2].pid == 1241);
  CHECK(locks[3].file == sys::FileId{makedev(0xfe, 0), 18446744073709551615ULL});
}

TEST_CASE("the lock line of fdinfo is read, even if its process has no PID here") {
  const auto locks = core::parse_lock_table(
      "pos:\t0\nflags:\t02100002\nmnt_id:\t26\nino:\t55\nlock:\t1: FLOCK  ADVISORY  WRITE 0 00:2f:55 0 EOF\n");
  REQUIRE(locks.size() == 1);
  CHECK(locks[0].pid == 0);
  CHECK(locks[0].file == sys::FileId{makedev(0, 0x2f), 55});
}

TEST_CASE("leases and delegations are read, but not waits for them") {
  const auto leases = core::parse_leases(
      "1: FLOCK  ADVISORY  WRITE 1234 08:02:131079 0 EOF\n"
      "2: LEASE  ACTIVE    READ 7 08:02:131080 0 EOF\n"
      "3: LEASE  BREAKING  UNLCK 8 08:02:131081 0 EOF\n"
      "3: -> LEASE  BREAKER   WRITE 9 08:02:131081 0 EOF\n"
      "4: DELEG  ACTIVE    READ 10 00:2f:5 0 EOF\n"
      "5: LEASE  ACTIVE    READ x 08:02:131080 0 EOF\n");
  REQUIRE(leases.size() == 3);
  CHECK(leases[0].pid == 7);
  CHECK(leases[0].file == sys::FileId{makedev(8, 2), 131080});
  CHECK(leases[1].pid == 8);
  CHECK(leases[2].file == sys::FileId{makedev(0, 0x2f), 5});
}

TEST_CASE("malformed lines are skipped") {
  for (const char* const line :
       {"", ":", "1:", "1: FLOCK", "1: FLOCK  ADVISORY  WRITE", "1: FLOCK  ADVISORY  WRITE x 08:02:1 0 EOF",
        "1: FLOCK  ADVISORY  WRITE 1 08:02 0 EOF", "1: FLOCK  ADVISORY  WRITE 1 zz:02:1 0 EOF",
        "1: FLOCK  ADVISORY  NONE 1 08:02:1 0 EOF", "FLOCK ADVISORY WRITE 1 08:02:1 0 EOF",
        "1: -> -> FLOCK ADVISORY WRITE 1 08:02:1 0 EOF", "1: FLOCK  ADVISORY  WRITE 99999999999 08:02:1 0 EOF"}) {
    CAPTURE(line);
    CHECK(core::parse_lock_table(line).empty());
  }
}

TEST_CASE("two reads of the list together have each line as often as one of them") {
  const KernelLock held = {KernelLock::Role::holder, sys::Mode::exclusive, 1, {2, 3}};
  const KernelLock waits = {KernelLock::Role::waiter, sys::Mode::exclusive, 1, {2, 3}};
  const KernelLock other = {KernelLock::Role::waiter, sys::Mode::shared, 4, {2, 3}};
  const auto merged = core::merge_reads({held, waits, waits}, {waits, other, held});
  CHECK(merged.size() == 4);
  CHECK(std::count(merged.begin(), merged.end(), waits) == 2);
  CHECK(std::count(merged.begin(), merged.end(), held) == 1);
  CHECK(std::count(merged.begin(), merged.end(), other) == 1);
}
