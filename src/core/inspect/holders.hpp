#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/attribution.hpp"
#include "core/inspect/file_report.hpp"
#include "core/inspect/inspect.hpp"
#include "core/inspect/proc_locks.hpp"
#include "core/lock/record.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

/// A lock file while it is inspected: what the kernel, the processes and the file itself
/// have shown so far.
struct InspectedFile {
  explicit InspectedFile(sys::LockFileName name_of_it) : name(std::move(name_of_it)) {}

  sys::LockFileName name;
  sys::FileId file;
  std::vector<KernelLock> locks;             ///< holders and waiters
  bool shares_number = false;                ///< `locks` may be on other files, too: see SharedNumber
  SharedNumber shown;                        ///< what the descriptors show
  std::vector<sys::OpenDescriptor> holding;  ///< descriptors that have the lock
  std::unique_ptr<const Record> record;      ///< null if there is no readable one
  std::set<pid_t> restored_by = {};          ///< as in LostFile
  FileReport report;
};

/// Describes a process that has a lock open.
LockProcess fd_holder(pid_t pid, std::optional<sys::Mode> mode);

/// The processes whose descriptors were looked for.
struct SearchedProcesses {
  std::set<pid_t> readable;
  std::set<pid_t> unreadable;  ///< they may hold a lock
  bool is_complete = false;    ///< there are no others
};

/// Describes the process that wrote a record, and has released the lock.
LastHolder last_holder(const Record& record);

/// Describes a process that waits for a lock.
LockProcess waiting_process(pid_t pid);

/// Fills in the user names that /etc/passwd has.
void fill_in_user_names(const std::vector<LockProcess*>& processes);

/// For a lock that is held, fills in holders, waiters, and whether the record is that
/// holder's. `self` is this process. If the search should stop, the first few holders are
/// described, but no further ones, and no waiters.
void fill_in_processes(InspectedFile& inspected, const SearchedProcesses& searched, const ProcessIdentity& self,
                       const HolderSearch& search);

}  // namespace grex::core
