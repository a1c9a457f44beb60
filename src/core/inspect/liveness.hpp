#pragma once

#include "core/inspect/kernel_view.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// Whether an ancestor's lock is still held. It travels in the environment and
/// so outlives the lock in whatever its command left behind.
enum class Liveness {
  live,     ///< the kernel says so, or nothing disproves it
  dropped,  ///< disproved: nobody holds it, or somebody else does
};

struct VerifiedEntry {
  StackEntry entry;
  Liveness liveness = Liveness::live;
};

/// An entry is disproved if its file is not locked; or if the lock was taken by
/// a process other than the entry's, which itself is gone. What can't be
/// checked counts as live. Tries the lock only where the kernel lists no holder.
/// The order is kept.
std::vector<VerifiedEntry> verify(const TierStack& stack);

/// The same for one entry.
Liveness liveness_of(const StackEntry& entry, const KernelView& view);

}  // namespace grex::core
