#include "cli/commands/status_text.hpp"

#include <doctest/doctest.h>

using namespace grex;

TEST_CASE("a caveat is printed once for consecutive locks on one file system, with its mount option") {
  cli::StatusReport report;
  const auto add = [&report](const std::string& path, const core::FileSystem& file_system) {
    core::LockReport lock;
    lock.path = path;
    lock.file_system = file_system;
    lock.merged.state = core::LockState::free;
    report.locks.push_back(lock);
  };
  add("/nfs/a", {"nfs4", core::LockCaveat::remote});
  add("/nfs/b", {"nfs4", core::LockCaveat::remote});
  add("/local/c", {"ext4"});
  add("/nfs/d", {"nfs", core::LockCaveat::host_only, "local_lock=all"});
  add("/cifs/e", {"cifs", core::LockCaveat::mandatory});
  CHECK(cli::status_text(report, {}) ==
        "per-pack  free  /nfs/a\n"
        "  on nfs4: the server may lose locks; holders on other hosts are known only by their records\n"
        "per-pack  free  /nfs/b\n"
        "per-pack  free  /local/c\n"
        "per-pack  free  /nfs/d\n"
        "  on nfs with local_lock=all: locks do not exclude other hosts\n"
        "per-pack  free  /cifs/e\n"
        "  on cifs: other processes may be unable to read a file while it is locked, and so its holder record\n");
}
