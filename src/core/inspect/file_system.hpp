#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

/// One mount that this process can see: a line of /proc/self/mountinfo
/// (proc_pid_mountinfo(5)).
struct Mount {
  std::uint64_t id = 0;
  std::uint64_t device = 0;  ///< of the superblock; st_dev may differ (btrfs, overlay)
  std::string type;          ///< as mount(8) names it: "ext4", "nfs4", "fuse.sshfs"
  std::string options;       ///< of the superblock, separated by commas
  std::string point = {};    ///< the path of its root
};

/// Skips lines that it doesn't understand.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

/// All mounts that this process, or another one, can see; none if /proc can't be read.
std::vector<Mount> visible_mounts();
std::vector<Mount> mounts_of(pid_t pid);

/// The mount with this ID, if it is among them. Borrowed.
const Mount* find_mount(std::optional<std::uint64_t> id, const std::vector<Mount>& mounts);

/// Whose mounts: without the root of its own, no process would run.
enum class MountsOf { this_process, another };

/// Whether a lookup of an absolute path may take forever, since a process or another machine
/// has to answer (FUSE, NFS).
bool may_never_answer(std::string_view path, const std::vector<Mount>& mounts, MountsOf whose);

/// Whether reading an open file may take forever, for the same reason, or because its mount is
/// not known.
bool may_never_answer(const sys::OpenDescriptor& descriptor, const std::vector<Mount>& mounts);

/// Whether a mount with this device is on the way of an absolute path.
bool leads_through(std::string_view path, std::uint64_t device, const std::vector<Mount>& mounts);

/// Whether a mount of /proc hides other users' processes, or what they do (proc(5),
/// `hidepid`).
bool hides_processes(const Mount& proc);

/// Parses MAJOR:MINOR, in this base.
std::optional<std::uint64_t> parse_device(std::string_view text, int base);

/// Whether a descriptor, with this fdinfo, may be of a file on the superblock with device
/// `superblock`, although its st_dev is `device`: files on others have the same inode
/// numbers. Its mount may be in another mount namespace, and not among these.
bool may_be_on(std::uint64_t superblock, std::uint64_t device, std::string_view fdinfo,
               const std::vector<Mount>& mounts);

/// The devices of the file systems that keep all their locks in this kernel, and number
/// their files as stat(2) does. For these, /proc/locks can be trusted to be complete.
std::vector<std::uint64_t> local_devices(const std::vector<Mount>& mounts);

/// Whether files of a mount may have another st_dev than that of the mount.
bool has_further_devices(const Mount& mount);

/// Why a lock protects less than on a disk of this machine.
enum class LockCaveat {
  none,       ///< no known reason
  remote,     ///< a server keeps it, and may lose it
  mandatory,  ///< it also keeps other processes from reading the file
  host_only,  ///< processes on other hosts can reach the file, and are not kept out
  unsure,     ///< as host_only, or not: that depends on the server of the files
};
std::string_view name_of(LockCaveat caveat);

/// The file system of a lock file, and what it means for the lock.
struct FileSystem {
  std::string type;  ///< as in Mount
  LockCaveat caveat = LockCaveat::none;
  std::string_view because = {};  ///< the mount option that causes it, a literal; empty if none
};
FileSystem file_system_of(const Mount& mount);

/// The file system of the place's mount, or else that of a mount with its device, for
/// example if the place is in another mount namespace. nullopt if there is neither.
std::optional<FileSystem> file_system_at(const sys::Place& place, const std::vector<Mount>& mounts);

}  // namespace grex::core
