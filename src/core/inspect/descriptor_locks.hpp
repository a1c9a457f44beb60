#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/proc_locks.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

/// The flock(2) locks that a descriptor has; nullopt if that can't be read.
std::optional<std::vector<KernelLock>> locks_on(const sys::OpenDescriptor& descriptor);

/// The flock(2) locks on a file that the descriptors of a process have, as far as they can
/// be read before it should stop.
std::vector<KernelLock> locks_on(sys::FileId file, pid_t pid, const StopToken& should_stop = never_stop);

/// The files on which these descriptors have a flock(2) lock, as far as that can be read.
std::vector<sys::FileId> files_locked_by(const std::vector<sys::OpenDescriptor>& descriptors);

}  // namespace grex::core
