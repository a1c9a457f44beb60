#include <doctest/doctest.h>
#include <sys/sysmacros.h>

#include "core/lock_table.hpp"

using namespace grex;
using core::KernelLock;

TEST_CASE("flock lines of /proc/locks are read, holders and waiters, and others are passed over") {
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

TEST_CASE("the lock line of fdinfo is read among the others, whose process may have no number here") {
  const auto locks = core::parse_lock_table(
      "pos:\t0\nflags:\t02100002\nmnt_id:\t26\nino:\t55\nlock:\t1: FLOCK  ADVISORY  WRITE 0 00:2f:55 0 EOF\n");
  REQUIRE(locks.size() == 1);
  CHECK(locks[0].pid == 0);
  CHECK(locks[0].file == sys::FileId{makedev(0, 0x2f), 55});
}

TEST_CASE("lines that are not understood are passed over") {
  for (const char* const line :
       {"", ":", "1:", "1: FLOCK", "1: FLOCK  ADVISORY  WRITE", "1: FLOCK  ADVISORY  WRITE x 08:02:1 0 EOF",
        "1: FLOCK  ADVISORY  WRITE 1 08:02 0 EOF", "1: FLOCK  ADVISORY  WRITE 1 zz:02:1 0 EOF",
        "1: FLOCK  ADVISORY  NONE 1 08:02:1 0 EOF", "FLOCK ADVISORY WRITE 1 08:02:1 0 EOF",
        "1: -> -> FLOCK ADVISORY WRITE 1 08:02:1 0 EOF", "1: FLOCK  ADVISORY  WRITE 99999999999 08:02:1 0 EOF"}) {
    CAPTURE(line);
    CHECK(core::parse_lock_table(line).empty());
  }
}

TEST_CASE("only file systems that keep their locks in this kernel count as local") {
  const auto devices = core::parse_local_devices(
      "22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
      "28 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
      "30 28 0:40 / /mnt/nfs rw - nfs4 host:/x rw\n"
      "31 28 0:41 / /mnt/fuse rw - fuse.sshfs x rw\n"
      "32 28 0:42 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n"
      "33 28 0:43 / /mnt/with\\040-\\040space rw - tmpfs tmpfs rw\n"
      "garbage\n"
      "34 28 0:44 / /mnt rw no separator\n");
  CHECK(devices == std::vector<std::uint64_t>{makedev(254, 0), makedev(0, 43)});
}
