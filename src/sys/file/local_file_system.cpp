#include "sys/file/local_file_system.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace grex::sys {
namespace {

// statfs(2) lists these, but no header of the kernel does.
constexpr std::uint32_t zfs_magic = 0x2fc12fc1;
constexpr std::uint32_t bcachefs_magic = 0xca451a4e;

constexpr std::array<std::uint32_t, 12> local_magics = {
    EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,   BTRFS_SUPER_MAGIC, TMPFS_MAGIC,          RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC,
    F2FS_SUPER_MAGIC, NILFS_SUPER_MAGIC, MSDOS_SUPER_MAGIC, REISERFS_SUPER_MAGIC, zfs_magic,   bcachefs_magic};

}  // namespace

bool is_on_local_file_system(int fd) {
  struct statfs system {};
  int result = -1;
  do {
    result = ::fstatfs(fd, &system);
  } while (result != 0 && errno == EINTR);
  const auto magic = static_cast<std::uint32_t>(system.f_type);
  return result == 0 && std::find(local_magics.begin(), local_magics.end(), magic) != local_magics.end();
}

}  // namespace grex::sys
