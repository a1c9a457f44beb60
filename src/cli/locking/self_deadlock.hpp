#pragma once

#include <optional>

#include "cli/args/options.hpp"
#include "cli/report/lock_failure.hpp"
#include "core/inspect/ancestor_lock.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::cli {

/// The lock of a busy file if this process or one above it keeps it, whatever the environment
/// says. If that is only probable, reports it, unless the command doesn't wait, and returns
/// nullopt. Gives up after a second, or when the options end the wait.
std::optional<core::AncestorLock> find_own_lock(const LockName& lock, const core::WantedFile& wanted,
                                                const LockOptions& options);

/// Such a lock as an entry of the stack. Its pid is 0 if it has no number in this PID
/// namespace; then descendants must not get it.
core::StackEntry entry_of(const core::AncestorLock& held, const LockName& lock);

/// Adds to the failure of a re-entry how this process came to the lock.
Failure with_descriptor(Failure failure, const core::AncestorLock& held, sys::Mode wanted);

}  // namespace grex::cli
