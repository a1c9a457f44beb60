#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// One flock(2) lock, or one wait for one, as the kernel tells it.
struct KernelLock {
  enum class Role { holder, waiter };
  Role role = Role::holder;
  sys::Mode mode = sys::Mode::exclusive;
  /// Who called flock(2): maybe long dead. Zero or less where it has no number
  /// in this PID namespace.
  pid_t pid = 0;
  /// `dev` is the superblock's device, which st_dev need not be (btrfs, overlay).
  sys::FileId file;
  bool operator==(const KernelLock&) const = default;
};

inline bool is_holder(const KernelLock& lock) { return lock.role == KernelLock::Role::holder; }

/// The flock(2) lines of /proc/locks (fs/locks.c, lock_get_status), or of the
/// `lock:` lines of /proc/PID/fdinfo/N. Other kinds of lock, and lines that are
/// not understood, are passed over.
std::vector<KernelLock> parse_lock_table(std::string_view text);

}  // namespace grex::core
