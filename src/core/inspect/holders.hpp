#pragma once

#include <string>
#include <vector>

#include "core/inspect/file_report.hpp"
#include "core/inspect/proc_locks.hpp"
#include "core/lock/record.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

/// A lock file while it is inspected: what the kernel, the processes and the file itself
/// have shown so far.
struct InspectedFile {
  std::string path;
  sys::FileId file;
  std::vector<KernelLock> locks;             ///< holders and waiters
  std::vector<sys::OpenDescriptor> holding;  ///< descriptors that have the lock
  std::vector<pid_t> unreadable;             ///< processes that may hold it, but can't be read
  std::optional<Record> record;              ///< if there is a readable one
  FileReport report;
};

/// Describes a process that has a lock open.
LockProcess fd_holder(pid_t pid, std::optional<sys::Mode> mode);

/// Describes a process that waits for a lock.
LockProcess waiting_process(pid_t pid);

/// Fills in the user names that /etc/passwd has.
void fill_in_user_names(const std::vector<LockProcess*>& processes);

/// For a lock that is held, fills in holders, waiters, and whether the record is that
/// holder's. `self` is this process.
void fill_in_processes(InspectedFile& inspected, const ProcessIdentity& self);

}  // namespace grex::core
