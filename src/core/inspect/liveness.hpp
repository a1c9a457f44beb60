#pragma once

#include "core/inspect/kernel_view.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// Whether an ancestor's lock is still held. Its entry is in the environment, so it
/// outlives the lock in processes that the ancestor's command left behind.
enum class Liveness {
  live,     ///< held according to the kernel, or not known to be stale
  dropped,  ///< known to be stale: no process holds it, or another process does
};

struct VerifiedEntry {
  StackEntry entry;
  Liveness liveness = Liveness::live;
};

/// An entry is known to be stale if its file is not locked, or if another process took the
/// lock and the entry's process is gone. What can't be checked counts as live. Tries the
/// lock only if the kernel lists no holder. Keeps the order.
std::vector<VerifiedEntry> verify(const TierStack& stack);

/// The same for one entry.
Liveness liveness_of(const StackEntry& entry, const KernelView& view);

}  // namespace grex::core
