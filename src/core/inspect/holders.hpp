#pragma once

#include <string>
#include <vector>

#include "core/inspect/inspect.hpp"
#include "core/inspect/proc_locks.hpp"
#include "core/lock/record.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

/// One lock file while its report is being made: what the kernel, the processes
/// and the file itself have said of it so far.
struct InspectedFile {
  std::string path;
  sys::FileId file;
  std::vector<KernelLock> locks;             ///< holders and waiters
  std::vector<sys::OpenDescriptor> holding;  ///< descriptors that have the lock
  std::vector<pid_t> unreadable;             ///< processes that may hold it unseen
  std::optional<Record> record;              ///< what can be read of it
  FileReport report;
};

/// A process that waits for a lock.
LockProcess waiting_process(pid_t pid);

/// Fills in the names of their users, as far as /etc/passwd has them.
void fill_in_user_names(const std::vector<LockProcess*>& processes);

/// Tells who holds a lock that is held, and who waits for it: fills in holders,
/// waiters, and whether the record is that holder's. `self` is this process.
void fill_in_processes(InspectedFile& inspected, const ProcessIdentity& self);

}  // namespace grex::core
