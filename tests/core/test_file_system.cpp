#include <doctest/doctest.h>
#include <sys/sysmacros.h>

#include <string>

#include "core/inspect/file_system.hpp"

using namespace grex;
using core::LockCaveat;

namespace {

core::FileSystem file_system(const std::string& type, const std::string& options = "rw") {
  return core::file_system_of({.type = type, .options = options});
}

}  // namespace

TEST_CASE("the lines of mountinfo are read, whatever optional fields they have, and others are skipped") {
  const auto mounts = core::parse_mounts(
      "28 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n"
      "30 28 0:40 / /mnt/nfs rw shared:1 master:2 - nfs4 host:/x rw,vers=4.2,local_lock=none\n"
      "33 28 0:43 / /mnt/with\\040-\\040space rw - fuse.sshfs ada@host: rw,user_id=0\n"
      "garbage\n"
      "x 28 0:44 / /mnt rw - tmpfs tmpfs rw\n"
      "35 28 0 / /mnt rw - tmpfs tmpfs rw\n"
      "34 28 0:44 / /mnt rw no separator\n");
  REQUIRE(mounts.size() == 3);
  CHECK(mounts[0].id == 28);
  CHECK(mounts[0].device == makedev(254, 0));
  CHECK(mounts[0].type == "ext4");
  CHECK(mounts[0].options == "rw,discard");
  CHECK(mounts[1].type == "nfs4");
  CHECK(mounts[1].options == "rw,vers=4.2,local_lock=none");
  CHECK(mounts[2].type == "fuse.sshfs");
}

TEST_CASE("a lookup may take forever below a mount that a process or another machine serves") {
  const auto mounts = core::parse_mounts(
      "28 1 0:40 / / rw - nfs4 host:/root rw\n"
      "30 28 254:0 / /home rw - ext4 /dev/vda rw\n"
      "31 30 0:41 / /home/ada/my\\040mail rw - fuse.sshfs ada@host: rw\n"
      "32 31 254:1 / /home/ada/my\\040mail/disk rw - ext4 /dev/vdb rw\n"
      "33 28 0:42 / /net rw - autofs auto rw\n"
      "34 33 0:43 / /net rw - xfs /dev/vdc rw\n"
      "35 28 0:44 / /odd\\134134 rw - somefs x rw\n"
      "36 28 0:45 / /merged rw - overlay overlay rw\n");
  CHECK(mounts[2].point == "/home/ada/my mail");
  CHECK(mounts[6].point == "/odd\\134");
  const auto may_take_forever = [&mounts](const char* path) {
    return core::may_never_answer(path, mounts, core::MountsOf::this_process);
  };
  CHECK(may_take_forever("/home/ada/my mail"));
  CHECK(may_take_forever("/home/ada/my mail/a/.grex-lock"));
  CHECK(may_take_forever("/home/ada/my mail/disk/.grex-lock"));  // it is looked up through the other
  CHECK(may_take_forever("/odd\\134/.grex-lock"));
  CHECK_FALSE(may_take_forever("/home/ada/my mailbox/.grex-lock"));
  CHECK_FALSE(may_take_forever("/home/ada/.grex-lock"));
  CHECK_FALSE(may_take_forever("/net/.grex-lock"));  // hidden by what is mounted upon it
  CHECK_FALSE(may_take_forever("/merged/.grex-lock"));
  CHECK_FALSE(may_take_forever("/.grex-lock"));  // or nothing works
  CHECK(core::may_never_answer("/.grex-lock", mounts, core::MountsOf::another));

  CHECK(core::leads_through("/home/ada/my mail/disk/x", makedev(254, 1), mounts));
  CHECK(core::leads_through("/home/ada/my mail/disk/x", makedev(0, 41), mounts));
  CHECK(core::leads_through("/home/ada/my mail/disk/x", makedev(0, 40), mounts));
  CHECK_FALSE(core::leads_through("/home/ada/x", makedev(0, 41), mounts));
}

TEST_CASE("a /proc with the option hidepid hides processes") {
  for (const char* const options : {"rw,hidepid=invisible", "rw,gid=4,hidepid=2", "hidepid=noaccess,subset=pid"}) {
    CHECK(core::hides_processes({.type = "proc", .options = options}));
  }
  for (const char* const options : {"rw", "", "rw,subset=pid", "rw,gid=4"}) {
    CHECK_FALSE(core::hides_processes({.type = "proc", .options = options}));
  }
}

TEST_CASE("only file systems that keep their locks in this kernel count as local") {
  const auto devices =
      core::local_devices(core::parse_mounts("22 28 0:21 / /proc rw,nosuid shared:12 - proc proc rw\n"
                                             "28 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
                                             "30 28 0:40 / /mnt/nfs rw - nfs4 host:/x rw\n"
                                             "31 28 0:41 / /mnt/fuse rw - fuse.sshfs x rw\n"
                                             "32 28 0:42 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw\n"
                                             "33 28 0:43 / /mnt/with\\040-\\040space rw - tmpfs tmpfs rw\n"));
  CHECK(devices == std::vector<std::uint64_t>{makedev(254, 0), makedev(0, 43)});
}

TEST_CASE("local and unknown file systems have no caveat") {
  for (const char* const type : {"ext4", "xfs", "btrfs", "tmpfs", "overlay", "fuseblk", "somefs"}) {
    CAPTURE(type);
    CHECK(file_system(type).type == type);
    CHECK(file_system(type).caveat == LockCaveat::none);
  }
}

TEST_CASE("a lock that a server keeps is remote, and one that this kernel keeps is not") {
  for (const char* const type : {"nfs", "nfs4"}) {
    CAPTURE(type);
    CHECK(file_system(type, "rw,vers=3,local_lock=none,addr=10.0.0.1").caveat == LockCaveat::remote);
    CHECK(file_system(type, "rw,local_lock=posix").caveat == LockCaveat::remote);
    CHECK(file_system(type, "rw,local_lock=flock").caveat == LockCaveat::host_only);
    const auto local = file_system(type, "rw,nolock,local_lock=all,addr=10.0.0.1");
    CHECK(local.caveat == LockCaveat::host_only);
    CHECK(local.because == "local_lock=all");
  }
  CHECK(file_system("ceph").caveat == LockCaveat::remote);
  CHECK(file_system("lustre", "rw,flock").caveat == LockCaveat::remote);
  CHECK(file_system("lustre", "rw,localflock").caveat == LockCaveat::host_only);
  CHECK(file_system("afs").caveat == LockCaveat::remote);
  CHECK(file_system("afs", "rw,flock=local").caveat == LockCaveat::host_only);
}

TEST_CASE("a lock on CIFS is mandatory, or with nobrl only one of this host") {
  for (const char* const type : {"cifs", "smb3"}) {
    CAPTURE(type);
    CHECK(file_system(type, "rw,vers=3.1.1,nobrlx").caveat == LockCaveat::mandatory);
    CHECK(file_system(type, "rw,nobrl,vers=3.1.1").caveat == LockCaveat::host_only);
  }
}

TEST_CASE("a cluster file system has no caveat unless its locks are local") {
  for (const char* const type : {"gfs2", "ocfs2"}) {
    CAPTURE(type);
    CHECK(file_system(type).caveat == LockCaveat::none);
    CHECK(file_system(type, "rw,localflocks").caveat == LockCaveat::host_only);
  }
}

TEST_CASE("what a lock on FUSE or on a guest's share excludes depends on its server") {
  for (const char* const type : {"fuse", "fuse.sshfs", "virtiofs", "9p"}) {
    CAPTURE(type);
    CHECK(file_system(type).type == type);
    CHECK(file_system(type).caveat == LockCaveat::unsure);
  }
  CHECK(file_system("vboxsf").caveat == LockCaveat::host_only);
}

TEST_CASE("the mount of a file is found by its ID, or else by its device, or not at all") {
  const auto mounts = core::parse_mounts(
      "0 0 0:1 / / rw - rootfs rootfs rw\n"
      "28 0 254:0 / / rw - ext4 /dev/vda rw\n"
      "30 28 0:40 / /a rw - btrfs /dev/vdb rw\n"
      "31 28 0:41 / /b rw - tmpfs tmpfs rw\n");
  CHECK(core::file_system_at({30, makedev(0, 99)}, mounts)->type == "btrfs");
  CHECK(core::file_system_at({{}, makedev(0, 41)}, mounts)->type == "tmpfs");
  CHECK_FALSE(core::file_system_at({{}, makedev(0, 99)}, mounts));
  CHECK(core::file_system_at({77, makedev(0, 41)}, mounts)->type == "tmpfs");
  CHECK_FALSE(core::file_system_at({77, makedev(0, 99)}, mounts));
}

TEST_CASE("each caveat has its name in JSON") {
  CHECK(core::name_of(LockCaveat::none) == "none");
  CHECK(core::name_of(LockCaveat::remote) == "remote");
  CHECK(core::name_of(LockCaveat::mandatory) == "mandatory");
  CHECK(core::name_of(LockCaveat::host_only) == "host-only");
  CHECK(core::name_of(LockCaveat::unsure) == "unsure");
}

TEST_CASE("a descriptor is of another superblock if its mount is, or if its st_dev is that of another") {
  const auto mounts = grex::core::parse_mounts(
      "36 35 0:39 / /mnt rw - btrfs /dev/vda rw\n"
      "37 35 0:5 / /dev rw - devtmpfs none rw\n");
  using grex::core::may_be_on;
  const auto device = [](unsigned minor_number) { return makedev(0, minor_number); };
  CHECK(may_be_on(device(39), device(41), "mnt_id:\t36\n", mounts));
  CHECK_FALSE(may_be_on(device(39), device(5), "mnt_id:\t37\n", mounts));
  CHECK_FALSE(may_be_on(device(39), device(5), "mnt_id:\t99\n", mounts));
  CHECK(may_be_on(device(39), device(41), "mnt_id:\t99\n", mounts));
  CHECK(may_be_on(device(39), device(41), "", mounts));
}
