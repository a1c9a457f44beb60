#include "core/inspect/file_system.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

// The kernel writes a space, a tab, a newline, a backslash and # in a path as \ooo
// (fs/proc_namespace.c, mangle).
std::string unescaped(std::string_view text) {
  if (text.find('\\') == std::string_view::npos) return std::string(text);
  std::string path;
  while (!text.empty()) {
    constexpr std::size_t digits = 3;
    const auto code = text.front() == '\\' && text.size() > digits
                          ? parse_number<std::uint8_t>(text.substr(1, digits), 8)
                          : std::nullopt;
    path += code ? static_cast<char>(*code) : text.front();
    text.remove_prefix(code ? digits + 1 : 1);
  }
  return path;
}

// 36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/vda rw
std::optional<Mount> parse_mount(std::string_view line) {
  const auto id = parse_number<std::uint64_t>(take_word(line));
  take_word(line);  // the parent's ID
  const auto device = parse_device(take_word(line), 10);
  take_word(line);  // the path in its file system
  const std::string_view point = take_word(line);
  const auto separator = line.find(" - ");
  if (!id || !device || separator == std::string_view::npos) return std::nullopt;
  line.remove_prefix(separator + 3);
  const std::string_view type = take_word(line);
  take_word(line);  // what is mounted
  return Mount{*id, *device, std::string(type), std::string(take_word(line)), unescaped(point)};
}

// Whether a file system keeps all its locks in this kernel and numbers its files as
// stat(2) does. Others may ask another machine or a process for their locks (nfs, cifs,
// fuse, virtiofs, …), or show other numbers (overlay).
bool keeps_locks_here(std::string_view type) {
  constexpr std::array<std::string_view, 20> local = {
      "ext2", "ext3",     "ext4", "xfs",   "btrfs", "f2fs", "bcachefs", "zfs",    "tmpfs", "ramfs",
      "jfs",  "reiserfs", "vfat", "exfat", "ntfs3", "udf",  "iso9660",  "nilfs2", "erofs", "squashfs"};
  return std::find(local.begin(), local.end(), type) != local.end();
}

// Whether no process and no other machine has to answer if a file is looked up.
bool answers_itself(std::string_view type) {
  constexpr std::array<std::string_view, 10> others = {"overlay", "aufs", "ecryptfs", "devtmpfs", "rootfs",
                                                       "msdos",   "ntfs", "hfsplus",  "jffs2",    "ubifs"};
  return keeps_locks_here(type) || std::find(others.begin(), others.end(), type) != others.end();
}

// Whether a path is that of a directory, or of something below.
bool is_in(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// What flock(2) does on a type of file system with a mount option, or, if that is empty,
// with any.
struct Rule {
  std::string_view type;  // "fuse.sshfs" is a "fuse" too
  std::string_view option;
  LockCaveat caveat;
};

// The first rule that matches applies.
constexpr std::array rules = {
    // A byte-range lock on the server, since Linux 2.6.12; `nolock` shows as
    // local_lock=all (flock(2), nfs(5); fs/nfs/super.c, nfs_show_mount_options).
    Rule{"nfs", "local_lock=all", LockCaveat::host_only},
    Rule{"nfs", "local_lock=flock", LockCaveat::host_only},
    Rule{"nfs", "", LockCaveat::remote},
    Rule{"nfs4", "local_lock=all", LockCaveat::host_only},
    Rule{"nfs4", "local_lock=flock", LockCaveat::host_only},
    Rule{"nfs4", "", LockCaveat::remote},
    // A mandatory byte-range lock on the server, since Linux 5.5 (flock(2); fs/smb/client/cifsfs.c,
    // cifs_file_nobrl_ops).
    Rule{"cifs", "nobrl", LockCaveat::host_only},
    Rule{"cifs", "", LockCaveat::mandatory},
    Rule{"smb3", "nobrl", LockCaveat::host_only},
    Rule{"smb3", "", LockCaveat::mandatory},
    // fs/ceph/locks.c, ceph_flock; mount.lustre(8); fs/afs/flock.c (OpenAFS does the same).
    Rule{"ceph", "", LockCaveat::remote},
    Rule{"lustre", "localflock", LockCaveat::host_only},
    Rule{"lustre", "", LockCaveat::remote},
    Rule{"afs", "flock=local", LockCaveat::host_only},
    Rule{"afs", "", LockCaveat::remote},
    // Otherwise, the cluster's members share it (gfs2(5); fs/ocfs2/locks.c, ocfs2_flock).
    Rule{"gfs2", "localflocks", LockCaveat::host_only},
    Rule{"ocfs2", "localflocks", LockCaveat::host_only},
    // Only the guest's kernel keeps it (fs/vboxsf/file.c has no flock).
    Rule{"vboxsf", "", LockCaveat::host_only},
    // In this kernel, for this mount, unless the daemon handles locks itself (fs/fuse/file.c,
    // fuse_file_flock); virtiofsd does not by default.
    Rule{"fuse", "", LockCaveat::unsure},
    Rule{"virtiofs", "", LockCaveat::unsure},
    // In this kernel first, and then as the server answers (fs/9p/vfs_file.c, v9fs_file_do_lock).
    Rule{"9p", "", LockCaveat::unsure},
};

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    if (take_until(options, ',') == wanted) return true;
  }
  return wanted.empty();
}

}  // namespace

std::optional<std::uint64_t> parse_device(std::string_view text, int base) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto major_number = parse_number<unsigned>(text.substr(0, colon), base);
  const auto minor_number = parse_number<unsigned>(text.substr(colon + 1), base);
  if (!major_number || !minor_number) return std::nullopt;
  return makedev(*major_number, *minor_number);
}

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  while (!mountinfo.empty()) {
    if (auto mount = parse_mount(take_until(mountinfo, '\n'))) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::vector<Mount> visible_mounts() { return mounts_of(sys::own_process); }

std::vector<Mount> mounts_of(pid_t pid) { return parse_mounts(sys::mount_table_text(pid)); }

const Mount* find_mount(std::optional<std::uint64_t> id, const std::vector<Mount>& mounts) {
  const auto is_its = [id](const Mount& mount) { return mount.id == id; };
  const auto found = std::find_if(mounts.begin(), mounts.end(), is_its);
  return found == mounts.end() ? nullptr : &*found;
}

// A mount upon another one, in the same place, comes after it.
bool may_never_answer(std::string_view path, const std::vector<Mount>& mounts, MountsOf whose) {
  const Mount* slow = nullptr;
  for (const Mount& mount : mounts) {
    if (slow != nullptr && slow->point == mount.point) slow = nullptr;
    const bool is_on_way = mount.point == "/" ? whose == MountsOf::another : is_in(path, mount.point);
    if (slow == nullptr && is_on_way && !answers_itself(mount.type)) slow = &mount;
  }
  return slow != nullptr;
}

bool may_never_answer(const sys::OpenDescriptor& descriptor, const std::vector<Mount>& mounts) {
  const auto id = sys::parse_mount_id(sys::descriptor_info(descriptor).value_or(""));
  if (const Mount* const mount = find_mount(id, mounts)) return !answers_itself(mount->type);
  const std::vector<Mount> others = mounts_of(descriptor.pid);
  const Mount* const mount = find_mount(id, others);
  return mount == nullptr || !answers_itself(mount->type);
}

bool leads_through(std::string_view path, std::uint64_t device, const std::vector<Mount>& mounts) {
  return std::any_of(mounts.begin(), mounts.end(), [&](const Mount& mount) {
    return mount.device == device && (mount.point == "/" || is_in(path, mount.point));
  });
}

// The kernel shows the option only if it hides something (fs/proc/root.c,
// proc_show_options).
bool hides_processes(const Mount& proc) {
  std::string_view options = proc.options;
  while (!options.empty()) {
    if (take_until(options, ',').starts_with("hidepid=")) return true;
  }
  return false;
}

bool may_be_on(std::uint64_t superblock, std::uint64_t device, std::string_view fdinfo,
               const std::vector<Mount>& mounts) {
  if (const Mount* const mount = find_mount(sys::parse_mount_id(fdinfo), mounts)) return mount->device == superblock;
  // If st_dev is the device of another superblock, the file is on that.
  return std::none_of(mounts.begin(), mounts.end(), [device](const Mount& other) { return other.device == device; });
}

std::vector<std::uint64_t> local_devices(const std::vector<Mount>& mounts) {
  std::vector<std::uint64_t> devices;
  for (const Mount& mount : mounts) {
    if (keeps_locks_here(mount.type)) devices.push_back(mount.device);
  }
  return devices;
}

// A subvolume, or a layer, has a device of its own.
bool has_further_devices(const Mount& mount) {
  constexpr std::array<std::string_view, 4> types = {"btrfs", "bcachefs", "overlay", "aufs"};
  return std::find(types.begin(), types.end(), mount.type) != types.end();
}

std::string_view name_of(LockCaveat caveat) {
  constexpr std::array<std::string_view, 5> names = {"none", "remote", "mandatory", "host-only", "unsure"};
  return names.at(static_cast<std::size_t>(caveat));
}

FileSystem file_system_of(const Mount& mount) {
  std::string_view type = mount.type;
  type = take_until(type, '.');
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const Rule& candidate) {
    return candidate.type == type && has_option(mount.options, candidate.option);
  });
  if (rule == rules.end()) return {mount.type};
  return {mount.type, rule->caveat, rule->option};
}

std::optional<FileSystem> file_system_at(const sys::Place& place, const std::vector<Mount>& mounts) {
  if (const Mount* const mount = find_mount(place.mount, mounts)) return file_system_of(*mount);
  const auto is_device = [&place](const Mount& mount) { return mount.device == place.device; };
  const auto found = std::find_if(mounts.begin(), mounts.end(), is_device);
  return found == mounts.end() ? std::nullopt : std::optional(file_system_of(*found));
}

}  // namespace grex::core
