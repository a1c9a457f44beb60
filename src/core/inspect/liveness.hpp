#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/kernel_view.hpp"
#include "core/inspect/liveness_rule.hpp"
#include "core/inspect/process_numbers.hpp"
#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// Finds out which entries are still held, by the rule of liveness_rule.hpp. Looks at the
/// descriptors of this process first, then at those of its ancestors, and only for entries
/// that these don't prove at the kernel's list and at other processes. Tries a lock, for
/// an instant, only if the list shows no holder and may be incomplete. Keeps the order. An
/// entry's mode is reduced to that of the lock that proves it. Any user can make the
/// kernel's list, or the descriptors of a process, so many that reading them takes too
/// long: if it should stop, what was not read is not known.
VerifiedStack verify(const TierStack& stack, const StopToken& should_stop = stop_after(std::chrono::seconds(1)));

/// Replaces the file of each entry whose lock is wanted, but by another file with its path: if
/// that is proved to be locked for this process, the lock was restored (see lost_file.hpp).
void find_restored(VerifiedStack& stack, const WantedFile& wanted);

/// Whether the file system of an entry's file is mounted. `not_known` if the file may have
/// another st_dev than its mount. The list shows only devices of mounts.
EntryFacts::Device find_device(const StackEntry& entry, const std::vector<Mount>& mounts, const KernelView& view);

/// What the kernel's list shows about an entry.
EntryFacts::Listed find_listed(const StackEntry& entry, const KernelView& view, const ProcessNumbers& numbers);

/// Which process has an entry's number now, if it started this long after boot. An entry
/// without the time at which its lock was taken says nothing about that.
EntryFacts::Process compare_start(const StackEntry& entry, std::int64_t started_ns);

}  // namespace grex::core
