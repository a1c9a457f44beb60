#include "core/lock/slot_queue.hpp"

#include "sys/lock/flock.hpp"
#include "sys/lock/flock_wait.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::core {
namespace {

// Processes that want one of the same number of slots queue for the lock on the queue
// file, and only the first of them waits for all of the slots. So they are served in
// order of arrival, and one thread per slot is enough, however many processes wait. Each
// number of slots has its own queue: no process waits behind one that must not take the
// slot that comes free. A process that can lock the slots, but not create a file beside
// them, stays out of the queue.
Result<sys::AnyEnd> wait_in_queue(const TargetFile& file, std::span<sys::LockFile> slots, const WaitPolicy& policy) {
  // On Ctrl-Z, `queue` is released before this process stops, since `stop` outlives it.
  std::optional<sys::DeferredStop> stop;
  const auto count = static_cast<unsigned>(slots.size());
  const sys::LockFileName name = queue_file(file, count);
  auto queue = sys::open_lock_file(name, sys::OpenFor::locking);
  const bool is_refused =
      !queue && (queue.error().kind == ErrorKind::create || queue.error().kind == ErrorKind::permission);
  if (is_refused) return sys::wait_any(slots, sys::Mode::exclusive, policy.deadline);
  if (!queue) return queue.error();
  if (queue->is_new && policy.observer != nullptr) policy.observer->lock_file_created(name);
  const auto tried = sys::try_lock(*queue, sys::Mode::exclusive,
                                   [&name] { return sys::open_lock_file(name, sys::OpenFor::recording); });
  if (!tried) return at_path(tried.error(), name.path());
  if (*tried == sys::Acquire::busy) {
    const auto first = sys::wait_lock(*queue, sys::Mode::exclusive, policy.deadline);
    if (!first) return at_path(first.error(), name.path());
    if (first->outcome != sys::Acquire::held) return sys::AnyEnd{*first};
  }
  stop.emplace();
  return sys::wait_any(slots, sys::Mode::exclusive, policy.deadline, stop->fd());
}

}  // namespace

Result<sys::AnyEnd> wait_for_slot(const TargetFile& file, std::span<sys::LockFile> slots, const WaitPolicy& policy) {
  const sys::BlockTerminationSignals between_waits;
  for (;;) {
    auto any = wait_in_queue(file, slots, policy);
    if (!any || any->end.outcome != sys::Acquire::suspended) return any;
  }
}

}  // namespace grex::core
