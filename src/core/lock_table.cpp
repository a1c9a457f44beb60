#include "core/lock_table.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.hpp"

namespace grex::core {
namespace {

std::optional<std::uint64_t> parse_device(std::string_view text, int base) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto major_number = parse_number<unsigned>(text.substr(0, colon), base);
  const auto minor_number = parse_number<unsigned>(text.substr(colon + 1), base);
  if (!major_number || !minor_number) return std::nullopt;
  return makedev(*major_number, *minor_number);
}

// 08:02:131079, the device in hexadecimal
std::optional<sys::FileId> parse_file(std::string_view word) {
  const auto colon = word.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto device = parse_device(word.substr(0, colon), 16);
  const auto inode = parse_number<std::uint64_t>(word.substr(colon + 1), 10);
  if (!device || !inode) return std::nullopt;
  return sys::FileId{*device, *inode};
}

// 1: FLOCK  ADVISORY  WRITE 1234 08:02:131079 0 EOF
// 1:  -> FLOCK  ADVISORY  READ 1240 08:02:131079 0 EOF
std::optional<KernelLock> parse_lock(std::string_view line) {
  std::string_view word = take_word(line);
  if (word == "lock:") word = take_word(line);
  if (word.empty() || word.back() != ':') return std::nullopt;

  KernelLock lock;
  word = take_word(line);
  if (word == "->") {
    lock.role = KernelLock::Role::waiter;
    word = take_word(line);
  }
  if (word != "FLOCK") return std::nullopt;
  take_word(line);  // ADVISORY
  word = take_word(line);
  if (word != "WRITE" && word != "READ") return std::nullopt;
  lock.mode = word == "WRITE" ? sys::Mode::exclusive : sys::Mode::shared;
  const auto pid = parse_number<pid_t>(take_word(line), 10);
  const auto file = parse_file(take_word(line));
  if (!pid || !file) return std::nullopt;
  lock.pid = *pid;
  lock.file = *file;
  return lock;
}

// File systems that keep all their locks in this kernel and number their files
// as stat(2) does. Others may ask another machine or a process for their locks
// (nfs, cifs, fuse, virtiofs, …), or show other numbers (overlay).
bool keeps_locks_here(std::string_view type) {
  constexpr std::array<std::string_view, 20> local = {
      "ext2", "ext3",     "ext4", "xfs",   "btrfs", "f2fs", "bcachefs", "zfs",    "tmpfs", "ramfs",
      "jfs",  "reiserfs", "vfat", "exfat", "ntfs3", "udf",  "iso9660",  "nilfs2", "erofs", "squashfs"};
  return std::find(local.begin(), local.end(), type) != local.end();
}

}  // namespace

std::vector<KernelLock> parse_lock_table(std::string_view text) {
  std::vector<KernelLock> locks;
  while (!text.empty()) {
    if (const auto lock = parse_lock(take_until(text, '\n'))) locks.push_back(*lock);
  }
  return locks;
}

// 36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/vda rw
std::vector<std::uint64_t> parse_local_devices(std::string_view mountinfo) {
  std::vector<std::uint64_t> devices;
  while (!mountinfo.empty()) {
    std::string_view line = take_until(mountinfo, '\n');
    take_word(line);
    take_word(line);
    const auto device = parse_device(take_word(line), 10);
    const auto separator = line.find(" - ");
    if (!device || separator == std::string_view::npos) continue;
    line.remove_prefix(separator + 3);
    if (keeps_locks_here(take_word(line))) devices.push_back(*device);
  }
  return devices;
}

}  // namespace grex::core
