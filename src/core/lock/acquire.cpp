#include "core/lock/acquire.hpp"

#include <algorithm>
#include <cerrno>

#include "sys/lock/flock_wait_any.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::core {
namespace {

using sys::Acquire;

sys::Mode mode_at(Tier tier, sys::Mode wanted) { return tier == Tier::semaphore ? sys::Mode::exclusive : wanted; }

// The outcome of trying one target.
struct Step {
  enum class Kind {
    ours,      ///< held; no `lock` if another of our locks has the file, or none is needed
    replaced,  ///< held, but its path no longer names this file
    ended,     ///< not held; see `end`
  };
  Kind kind = Kind::ended;
  std::optional<HeldLock> lock = {};
  sys::WaitEnd end = {};
};

// Whether the path of a directory now names another one.
bool was_replaced(const sys::Directory& directory) {
  const auto named = sys::status_of(directory.path);
  const auto opened = sys::status_of(directory.fd.get());
  return named && opened && named->id != opened->id;
}

// Whether the path is the only name of a file that had one name when it was opened. If it
// has changed since, a process that had the lock before may have written its record; none
// does now.
bool has_one_name(const sys::LockFile& file, const sys::FileStatus& named, const std::string& path) {
  const bool is_unchanged = named.names == 1 && named.changed == file.changed;
  return is_unchanged || sys::status_if_only_name(file, path);
}

// If a lock file is removed or replaced, a second holder can lock the new one; the lock
// on the old one guards nothing.
Result<Step> checked(sys::LockFile file, const Target& target, std::size_t index, sys::Mode mode) {
  std::string path = target.lock_path(index);
  const auto named = sys::status_of(path);
  if (!named) return named.error();
  if (named->id != file.id) return Step{Step::Kind::replaced};
  file.must_not_write = file.must_not_write || !has_one_name(file, *named, path);
  return Step{Step::Kind::ours, HeldLock(std::move(file), target.tier(), std::move(path), mode)};
}

// Processes that want one of the same number of slots queue for the lock on the queue
// file, and only the first of them waits for all of the slots. So they are served in
// order of arrival, and one thread per slot is enough, however many processes wait. Each
// number of slots has its own queue: no process waits behind one that must not take the
// slot that comes free. A process that can lock the slots, but not create a file beside
// them, stays out of the queue.
Result<sys::AnyEnd> wait_in_queue(const Target& target, const std::vector<int>& fds, std::optional<Deadline> deadline) {
  // On Ctrl-Z, `queue` is released before this process stops, since `stop` outlives it.
  std::optional<sys::DeferredStop> stop;
  const std::string name = queue_name(target.request.layout, target.request.slots);
  const auto queue = sys::open_lock_file(target.directory.fd.get(), name, sys::OpenFor::locking);
  const bool is_refused =
      !queue && (queue.error().kind == ErrorKind::create || queue.error().kind == ErrorKind::permission);
  if (is_refused) return sys::wait_any(fds, sys::Mode::exclusive, deadline);
  if (!queue) return at_path(queue.error(), queue_path(target, target.request.slots));
  const auto first = sys::wait_lock(queue->fd.get(), sys::Mode::exclusive, deadline);
  if (!first) return at_path(first.error(), queue_path(target, target.request.slots));
  if (first->outcome != Acquire::held) return sys::AnyEnd{*first};
  stop.emplace();
  return sys::wait_any(fds, sys::Mode::exclusive, deadline, stop->fd());
}

Result<sys::AnyEnd> wait_for_slot(const Target& target, const std::vector<int>& fds, std::optional<Deadline> deadline) {
  const sys::BlockTerminationSignals between_waits;
  for (;;) {
    auto any = wait_in_queue(target, fds, deadline);
    if (!any || any->end.outcome != Acquire::suspended) return any;
  }
}

Result<Step> wait_for(const Target& target, std::vector<sys::LockFile> files, sys::Mode mode,
                      std::optional<Deadline> deadline) {
  sys::AnyEnd any;
  if (files.size() == 1) {
    const auto end = sys::wait_lock(files.front().fd.get(), mode, deadline);
    if (!end) return at_path(end.error(), target.lock_path(0));
    any.end = *end;
  } else {
    std::vector<int> fds(files.size());
    std::transform(files.begin(), files.end(), fds.begin(), [](const sys::LockFile& file) { return file.fd.get(); });
    const auto end = wait_for_slot(target, fds, deadline);
    if (!end) return end.error().path.empty() ? at_path(end.error(), target.lock_path(0)) : end.error();
    any = *end;
  }
  if (any.end.outcome != Acquire::held) return Step{Step::Kind::ended, {}, any.end};
  return checked(std::move(files[any.index]), target, any.index, mode);
}

// Reports the start and the end of a wait to its observer.
class ObservedWait {
 public:
  ObservedWait(WaitObserver* observer, const Target& target) : observer_(observer) {
    if (observer_ != nullptr) observer_->wait_begins(target);
  }
  ObservedWait(const ObservedWait&) = delete;
  ObservedWait& operator=(const ObservedWait&) = delete;
  ~ObservedWait() {
    if (observer_ != nullptr) observer_->wait_ends();
  }

 private:
  WaitObserver* observer_;
};

Result<Step> take(const Target& target, const std::vector<HeldLock>& ours, sys::Mode wanted, const WaitPolicy& policy) {
  if (target.names.empty()) return Step{Step::Kind::ours};
  const sys::Mode mode = mode_at(target.tier(), wanted);
  std::vector<sys::LockFile> busy;
  for (std::size_t i = 0; i < target.names.size(); ++i) {
    auto file = sys::open_lock_file(target.directory.fd.get(), target.names[i], sys::OpenFor::locking);
    if (!file && was_replaced(target.directory)) return Step{Step::Kind::replaced};
    if (!file) return at_path(file.error(), target.lock_path(i));
    if (file->is_new && policy.observer != nullptr) policy.observer->lock_file_created(target.lock_path(i));
    // The same file through a bind mount or a hard link: waiting for it would never end.
    const auto is_it = [&file](const HeldLock& lock) { return lock.file() == file->id; };
    if (std::any_of(ours.begin(), ours.end(), is_it)) return Step{Step::Kind::ours};
    const auto outcome = sys::try_lock(file->fd.get(), mode);
    if (!outcome) return at_path(outcome.error(), target.lock_path(i));
    if (*outcome == Acquire::held) return checked(std::move(*file), target, i, mode);
    busy.push_back(std::move(*file));
  }
  if (!policy.waits || target.request.if_busy == IfBusy::report) return Step{Step::Kind::ended, {}, {Acquire::busy}};
  const ObservedWait observed(policy.observer, target);
  return wait_for(target, std::move(busy), mode, policy.deadline);
}

}  // namespace

Attempt acquire(std::vector<Target>& targets, sys::Mode mode, const WaitPolicy& policy) {
  Attempt attempt{sys::WaitEnd{Acquire::held}, {}};
  while (attempt.at < targets.size()) {
    auto step = take(targets[attempt.at], attempt.locks, mode, policy);
    if (step && step->kind == Step::Kind::ours) {
      if (step->lock) attempt.locks.push_back(std::move(*step->lock));
      ++attempt.at;
      continue;
    }
    release_all(attempt.locks);
    if (!step || step->kind == Step::Kind::ended) {
      attempt.end = step ? Result(step->end) : Result<sys::WaitEnd>(step.error());
      return attempt;
    }
    // Files that are replaced again and again must not keep a blocked signal waiting.
    if (const auto signal = sys::take_termination_signal()) {
      attempt.end = sys::WaitEnd{Acquire::cancelled, *signal};
      return attempt;
    }
    if (policy.deadline && Deadline::clock::now() >= *policy.deadline) {
      attempt.end = sys::WaitEnd{Acquire::timed_out};
      return attempt;
    }
    if (auto renewed = re_resolve(targets, attempt.at); !renewed) {
      attempt.end = renewed.error();
      return attempt;
    }
    attempt.at = 0;
  }
  return attempt;
}

Result<Probe> probe(const Target& target, sys::Mode mode) {
  mode = mode_at(target.tier(), mode);
  for (std::size_t i = 0; i < target.names.size(); ++i) {
    const std::string path = target.lock_path(i);
    auto file = sys::open_lock_file(target.directory.fd.get(), target.names[i], sys::OpenFor::probing);
    if (!file && file.error().err == ENOENT) return Probe{Acquire::held, path};  // it would be created
    if (!file) return at_path(file.error(), path);
    const auto outcome = sys::try_lock(file->fd.get(), mode);  // released when `file` is closed
    if (!outcome) return at_path(outcome.error(), path);
    if (*outcome == Acquire::held) return Probe{Acquire::held, path};
  }
  return Probe{target.names.empty() ? Acquire::held : Acquire::busy, target.shown_path()};
}

}  // namespace grex::core
