#include "core/inspect/liveness.hpp"

#include <algorithm>
#include <functional>

#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

enum class ProbeResult { free, held, unknown };

ProbeResult try_file(const StackEntry& entry) {
  // The environment's word alone opens nothing: some devices act on being opened.
  const auto named = sys::status_of(entry.path);
  if (!named || named->type != sys::FileType::regular || named->id != entry.file) return ProbeResult::unknown;
  auto file = sys::open_lock_file(entry.path, sys::OpenFor::probing);
  if (!file || file->id != entry.file) return ProbeResult::unknown;
  const auto outcome = sys::try_lock(file->fd.get(), sys::Mode::exclusive);
  if (!outcome) return ProbeResult::unknown;
  return *outcome == sys::Acquire::held ? ProbeResult::free : ProbeResult::held;
}

// Whether the very lock is listed, which needs no list of mounts to be believed.
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
    // Too much hangs on it to trust a list where the lock itself can be asked:
    // an ancestor's lock that is taken for gone would be waited for without end.
    const ProbeResult tried = try_file(entry);
    const bool not_listed = tried == ProbeResult::unknown && view.is_complete_for(entry.file);
    return tried == ProbeResult::free || not_listed ? Liveness::dropped : Liveness::live;
  }
  if (!view.sees_every_process()) return Liveness::live;
  // Whoever holds it exclusively holds it alone; beside a sharer, the entry's
  // process may be one that the list missed.
  const bool nobody_missed = locks.front().mode == sys::Mode::exclusive || view.is_complete_for(entry.file);
  const bool gone = sys::existence_of(entry.pid) == sys::Existence::gone;
  return nobody_missed && gone ? Liveness::dropped : Liveness::live;
}

std::vector<VerifiedEntry> verify(const TierStack& stack) {
  std::vector<VerifiedEntry> verified;
  if (stack.empty()) return verified;
  // The mounts take longer to read than the locks, and most often there is no need.
  const KernelView list = KernelView::take({});
  const auto is_shown = [&list](const StackEntry& entry) { return lists_lock_of(entry, list); };
  const bool is_enough = std::all_of(stack.begin(), stack.end(), is_shown);
  const KernelView view = is_enough ? list : KernelView::take(visible_mounts());
  for (const StackEntry& entry : stack) verified.push_back({entry, liveness_of(entry, view)});
  return verified;
}

}  // namespace grex::core
