#include "core/lock/acquire.hpp"

#include <algorithm>
#include <cerrno>

#include "sys/lock/flock_wait_any.hpp"
#include "sys/signal/signals.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::core {
namespace {

using sys::Acquire;

sys::Mode mode_at(Tier tier, sys::Mode wanted) { return tier == Tier::semaphore ? sys::Mode::exclusive : wanted; }

// How far one target has come.
struct Step {
  enum class Kind {
    ours,      ///< held: with a lock, or as the file of one of ours
    replaced,  ///< held, but the file is not the one that its path names any more
    ended,     ///< not held; `end` says how
  };
  Kind kind = Kind::ended;
  std::optional<HeldLock> lock = {};
  sys::WaitEnd end = {};
};

// Whether the path of a directory names another by now.
bool was_replaced(const sys::Directory& directory) {
  const auto named = sys::status_of(directory.path);
  const auto opened = sys::status_of(directory.fd.get());
  return named && opened && named->id != opened->id;
}

// Whoever removes or replaces a lock file lets a second holder in on the new
// one; the lock on the old one guards nothing.
Result<Step> checked(sys::LockFile file, const Target& target, std::size_t index, sys::Mode mode) {
  std::string path = target.lock_path(index);
  const auto named = sys::status_of(path);
  if (!named) return named.error();
  if (named->id != file.id) return Step{Step::Kind::replaced};
  return Step{Step::Kind::ours, HeldLock(std::move(file), target.tier(), std::move(path), mode)};
}

// Those who want one of the same number of permits line up for the queue's file,
// and only the first of them waits at the permits, at all of them. So they are
// served in the order in which they came, and a thread a permit is all it takes,
// however many wait. Who wants one of another number waits in another queue, so
// that nobody stands behind one who may not have the permit that comes free.
// Who may lock the permits, but make no file beside them, stands in no line.
Result<sys::AnyEnd> wait_in_line(const Target& target, const std::vector<int>& fds,
                                 std::optional<sys::Deadline> deadline) {
  // Who is stopped by Ctrl-Z gives its place up first: this outlives `queue`.
  std::optional<sys::HeldBackStop> stop;
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

Result<sys::AnyEnd> wait_for_permit(const Target& target, const std::vector<int>& fds,
                                    std::optional<sys::Deadline> deadline) {
  const sys::EndingSignalsHeldBack between_waits;
  for (;;) {
    auto any = wait_in_line(target, fds, deadline);
    if (!any || any->end.outcome != Acquire::suspended) return any;
  }
}

Result<Step> wait_for(const Target& target, std::vector<sys::LockFile> files, sys::Mode mode,
                      std::optional<sys::Deadline> deadline) {
  sys::AnyEnd any;
  if (files.size() == 1) {
    const auto end = sys::wait_lock(files.front().fd.get(), mode, deadline);
    if (!end) return at_path(end.error(), target.lock_path(0));
    any.end = *end;
  } else {
    std::vector<int> fds(files.size());
    std::transform(files.begin(), files.end(), fds.begin(), [](const sys::LockFile& file) { return file.fd.get(); });
    const auto end = wait_for_permit(target, fds, deadline);
    if (!end) return end.error().path.empty() ? at_path(end.error(), target.lock_path(0)) : end.error();
    any = *end;
  }
  if (any.end.outcome != Acquire::held) return Step{Step::Kind::ended, {}, any.end};
  return checked(std::move(files[any.index]), target, any.index, mode);
}

Result<Step> take(const Target& target, const std::vector<HeldLock>& ours, sys::Mode wanted, const Patience& patience) {
  if (target.names.empty()) return Step{Step::Kind::ours};
  const sys::Mode mode = mode_at(target.tier(), wanted);
  std::vector<sys::LockFile> busy;
  for (std::size_t i = 0; i < target.names.size(); ++i) {
    auto file = sys::open_lock_file(target.directory.fd.get(), target.names[i], sys::OpenFor::locking);
    if (!file && was_replaced(target.directory)) return Step{Step::Kind::replaced};
    if (!file) return at_path(file.error(), target.lock_path(i));
    // By way of a bind mount, or a hard link: it would be waited for without end.
    const auto is_it = [&file](const HeldLock& lock) { return lock.file() == file->id; };
    if (std::any_of(ours.begin(), ours.end(), is_it)) return Step{Step::Kind::ours};
    const auto outcome = sys::try_lock(file->fd.get(), mode);
    if (!outcome) return at_path(outcome.error(), target.lock_path(i));
    if (*outcome == Acquire::held) return checked(std::move(*file), target, i, mode);
    busy.push_back(std::move(*file));
  }
  if (!patience.waits) return Step{Step::Kind::ended, {}, {Acquire::busy}};
  std::shared_ptr<void> while_waiting;
  if (patience.on_wait) while_waiting = patience.on_wait(target);
  return wait_for(target, std::move(busy), mode, patience.deadline);
}

}  // namespace

Attempt acquire(std::vector<Target>& targets, sys::Mode mode, const Patience& patience) {
  Attempt attempt{sys::WaitEnd{Acquire::held}, {}};
  while (attempt.at < targets.size()) {
    auto step = take(targets[attempt.at], attempt.locks, mode, patience);
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
    if (auto renewed = resolve_again(targets, attempt.at); !renewed) {
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
    if (!file && file.error().err == ENOENT) return Probe{Acquire::held, path};  // it would be made
    if (!file) return at_path(file.error(), path);
    const auto outcome = sys::try_lock(file->fd.get(), mode);  // freed as `file` is closed
    if (!outcome) return at_path(outcome.error(), path);
    if (*outcome == Acquire::held) return Probe{Acquire::held, path};
  }
  return Probe{target.names.empty() ? Acquire::held : Acquire::busy, target.shown_path()};
}

}  // namespace grex::core
