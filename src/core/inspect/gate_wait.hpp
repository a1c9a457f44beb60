#pragma once

#include "core/lock/target.hpp"
#include "sys/file/file.hpp"

namespace grex::core {

/// Whether a process in front of this gate of a lock, which is busy, must wait for it: a
/// process that has the gate is seen to wait for the lock, so it isn't stopped, and neither
/// this process nor an ancestor is seen to have a file of this tier or a higher one, for
/// which that one may wait. What can't be read within a second is not seen.
bool must_wait_at_gate(const Target& target, sys::FileId gate);

}  // namespace grex::core
