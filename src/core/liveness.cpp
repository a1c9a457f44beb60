#include "core/liveness.hpp"

#include <fcntl.h>

#include <algorithm>

#include "sys/proc.hpp"

namespace grex::core {
namespace {

enum class TriedLock { free, held, unknown };

TriedLock try_file(const StackEntry& entry) {
  auto file = sys::open_lock_file(AT_FDCWD, entry.path, sys::IfMissing::leave);
  if (!file || file->id != entry.file) return TriedLock::unknown;
  const auto outcome = sys::try_lock(file->fd.get(), sys::Mode::exclusive);
  if (!outcome) return TriedLock::unknown;
  return *outcome == sys::Acquire::held ? TriedLock::free : TriedLock::held;
}

}  // namespace

Liveness liveness_of(const StackEntry& entry, const KernelView& view) {
  auto locks = view.on(entry.file);
  std::erase_if(locks, [](const KernelLock& lock) { return lock.role == KernelLock::Role::waiter; });
  if (locks.empty()) {
    if (view.is_complete_for(entry.file)) return Liveness::dropped;
    return try_file(entry) == TriedLock::free ? Liveness::dropped : Liveness::live;
  }
  const bool taken_by_it =
      std::any_of(locks.begin(), locks.end(), [&entry](const KernelLock& lock) { return lock.pid == entry.pid; });
  const bool somebody_elses =
      !taken_by_it && view.sees_every_process() && sys::existence_of(entry.pid) == sys::Existence::gone;
  return somebody_elses ? Liveness::dropped : Liveness::live;
}

std::vector<VerifiedEntry> verify(const TierStack& stack) {
  std::vector<VerifiedEntry> verified;
  if (stack.empty()) return verified;
  const KernelView view = KernelView::take();
  for (const StackEntry& entry : stack) verified.push_back({entry, liveness_of(entry, view)});
  return verified;
}

}  // namespace grex::core
