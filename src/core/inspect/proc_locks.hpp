#pragma once

#include <sys/types.h>

#include <string_view>
#include <vector>

#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// A flock(2) lock, or a wait for one, as the kernel lists it.
struct KernelLock {
  enum class Role { holder, waiter };
  Role role = Role::holder;
  sys::Mode mode = sys::Mode::exclusive;
  /// The process that called flock(2), which may be long gone. Zero or less if it has no
  /// number in this PID namespace.
  pid_t pid = 0;
  /// `dev` is the superblock's device; st_dev may differ (btrfs, overlay).
  sys::FileId file;
  bool operator==(const KernelLock&) const = default;
};

inline bool is_holder(const KernelLock& lock) { return lock.role == KernelLock::Role::holder; }

bool contains(const std::vector<KernelLock>& locks, const KernelLock& lock);

/// The flock(2) lines of /proc/locks (fs/locks.c, lock_get_status), or of the `lock:`
/// lines of /proc/PID/fdinfo/N. Skips other kinds of lock, and lines that it doesn't
/// understand.
std::vector<KernelLock> parse_lock_table(std::string_view text);

/// A lease on a file (F_SETLEASE in fcntl(2)), or a delegation by an NFS server. Opening the
/// file breaks it.
struct KernelLease {
  pid_t pid = 0;     ///< as in KernelLock
  sys::FileId file;  ///< the same
};

/// The leases in /proc/locks.
std::vector<KernelLease> parse_leases(std::string_view text);

/// All that two reads of the list show: a lock or wait is in the result as often as in the
/// read that shows it more often, since threads of one process wait by the same line. In no
/// particular order.
std::vector<KernelLock> merge_reads(std::vector<KernelLock> a, std::vector<KernelLock> b);

}  // namespace grex::core
