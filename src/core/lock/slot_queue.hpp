#pragma once

#include <span>

#include "base/result.hpp"
#include "core/lock/wait_policy.hpp"
#include "sys/lock/flock_wait_any.hpp"

namespace grex::core {

/// Waits for one of several slots, as sys::wait_any does, behind the processes that came
/// before and want one of the same number of slots. Errors: those of sys::open_lock_file and
/// sys::wait_any; without a path if they are not about the queue.
Result<sys::AnyEnd> wait_for_slot(const TargetFile& file, std::span<sys::LockFile> slots, const WaitPolicy& policy);

}  // namespace grex::core
