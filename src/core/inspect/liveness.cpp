#include "core/inspect/liveness.hpp"

#include <algorithm>
#include <functional>

#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

enum class ProbeResult { free, held, unknown };

ProbeResult try_file(const StackEntry& entry) {
  // The environment alone is no reason to open a file: opening a device may have effects.
  const auto named = sys::status_of(entry.path);
  if (!named || named->type != sys::FileType::regular || named->id != entry.file) return ProbeResult::unknown;
  auto file = sys::open_lock_file(entry.path, sys::OpenFor::probing);
  if (!file || file->id != entry.file) return ProbeResult::unknown;
  const auto outcome = sys::try_lock(file->fd.get(), sys::Mode::exclusive);
  if (!outcome) return ProbeResult::unknown;
  return *outcome == sys::Acquire::held ? ProbeResult::free : ProbeResult::held;
}

// Whether this very lock is listed. That is reliable without a list of mounts.
bool lists_lock_of(const StackEntry& entry, const KernelView& view) {
  const auto locks = view.on(entry.file);
  const auto is_its = [&entry](const KernelLock& lock) { return is_holder(lock) && lock.pid == entry.pid; };
  return std::any_of(locks.begin(), locks.end(), is_its);
}

}  // namespace

Liveness liveness_of(const StackEntry& entry, const KernelView& view) {
  if (lists_lock_of(entry, view)) return Liveness::live;
  auto locks = view.on(entry.file);
  std::erase_if(locks, std::not_fn(is_holder));
  if (locks.empty()) {
    // Try the lock itself rather than trust the list: if an ancestor's lock is wrongly
    // taken for gone, we wait for it forever.
    const ProbeResult tried = try_file(entry);
    const bool not_listed = tried == ProbeResult::unknown && view.is_complete_for(entry.file);
    return tried == ProbeResult::free || not_listed ? Liveness::dropped : Liveness::live;
  }
  if (!view.sees_every_process()) return Liveness::live;
  // An exclusive holder is the only one; among sharers, the list may have missed the
  // entry's process.
  const bool none_missed = locks.front().mode == sys::Mode::exclusive || view.is_complete_for(entry.file);
  const bool gone = sys::existence_of(entry.pid) == sys::Existence::gone;
  return none_missed && gone ? Liveness::dropped : Liveness::live;
}

std::vector<VerifiedEntry> verify(const TierStack& stack) {
  std::vector<VerifiedEntry> verified;
  if (stack.empty()) return verified;
  // Reading the mounts takes longer than reading the locks, and is rarely needed.
  const KernelView list = KernelView::take({});
  const auto is_shown = [&list](const StackEntry& entry) { return lists_lock_of(entry, list); };
  const bool is_enough = std::all_of(stack.begin(), stack.end(), is_shown);
  const KernelView view = is_enough ? list : KernelView::take(visible_mounts());
  for (const StackEntry& entry : stack) verified.push_back({entry, liveness_of(entry, view)});
  return verified;
}

}  // namespace grex::core
