#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/file/file.hpp"

namespace grex::core {

/// One mount that this process can see: a line of /proc/self/mountinfo
/// (proc_pid_mountinfo(5)).
struct Mount {
  std::uint64_t id = 0;
  std::uint64_t device = 0;  ///< of the superblock, which st_dev need not be (btrfs, overlay)
  std::string type;          ///< as mount(8) names it: "ext4", "nfs4", "fuse.sshfs"
  std::string options;       ///< of the superblock, with commas between them
};

/// Lines that are not understood are passed over.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

/// All of them; none where /proc can't be read.
std::vector<Mount> visible_mounts();

/// MAJOR:MINOR, in that base.
std::optional<std::uint64_t> parse_device(std::string_view text, int base);

/// The devices of the mounts whose file systems keep all their locks in this
/// kernel, and number their files as stat(2) does: the ones for which
/// /proc/locks can be trusted to be complete.
std::vector<std::uint64_t> local_devices(const std::vector<Mount>& mounts);

/// In what a lock is worth less than on a disk of this machine.
enum class LockCaveat {
  none,       ///< in nothing that is known
  remote,     ///< a server keeps it, and may lose it
  mandatory,  ///< it also keeps others from reading the file
  host_only,  ///< others reach the file from elsewhere, and are not kept out
  unsure,     ///< the same may be so: it is up to whoever serves the files
};
std::string_view name_of(LockCaveat caveat);

/// Where a lock file lies, and what that means for the lock.
struct FileSystem {
  std::string type;  ///< as in Mount
  LockCaveat caveat = LockCaveat::none;
  std::string_view because = {};  ///< the mount option that makes it so, a literal; empty if none does
};
FileSystem file_system_of(const Mount& mount);

/// That of the mount in which this place is, or else of one of its device, as where
/// it is in another mount namespace. nullopt where neither is among them.
std::optional<FileSystem> file_system_at(const sys::Place& place, const std::vector<Mount>& mounts);

}  // namespace grex::core
