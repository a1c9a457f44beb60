#pragma once

#include <sys/types.h>

#include <set>
#include <vector>

#include "core/inspect/proc_locks.hpp"

namespace grex::core {

/// What the descriptors of processes show about files with one inode number.
struct DescriptorFacts {
  std::vector<KernelLock> locks;  ///< the locks that they have
  std::set<pid_t> openers;        ///< the processes that have such a file open
};

/// The kernel lists a lock by superblock and inode number, which several files may share:
/// those of btrfs subvolumes, and those of an overlay's layers. Only st_dev, which
/// descriptors show, distinguishes them.
struct SharedNumber {
  DescriptorFacts ours;    ///< of descriptors with our file's st_dev
  DescriptorFacts others;  ///< of descriptors with another st_dev
};

enum class Listing {
  complete,    ///< the list has all locks with this number
  incomplete,  ///< some may be missing
};

/// Of the locks and waits that the kernel lists for a number, in its order, those on our
/// file, which is known to be locked. What can't be attributed doesn't count, unless it is
/// the only lock that ours can be. Pure.
std::vector<KernelLock> attribute(const std::vector<KernelLock>& listed, const SharedNumber& shown, Listing listing);

/// The numbers of the processes in the list that took a lock, or wait for one.
std::set<pid_t> processes_in(const std::vector<KernelLock>& listed);

}  // namespace grex::core
