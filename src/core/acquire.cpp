#include "core/acquire.hpp"

#include <cerrno>

#include "sys/proc.hpp"

namespace grex::core {
namespace {

using sys::Acquire;

enum class Freshness { current, replaced };

// Whether the file is still the one that its path names. Whoever removes or
// replaces a lock file lets a second holder in on the new one; the lock on the
// old one guards nothing.
Result<Freshness> freshness_of(const sys::LockFile& file, const std::string& path) {
  const auto named = sys::status_of(path);
  if (!named) return named.error();
  return named->id == file.id ? Freshness::current : Freshness::replaced;
}

// One pass over the files of a target.
struct Pass {
  std::optional<HeldLock> lock;
  std::optional<sys::LockFile> busy;  ///< the one to wait for, where all are busy
  std::size_t busy_index = 0;
  Freshness freshness = Freshness::current;
};

Result<Pass> try_each(const Target& target, sys::Mode mode) {
  Pass pass;
  // Waiters spread over the permits; each waits for one of them.
  const std::size_t chosen = target.names.empty() ? 0 : static_cast<std::size_t>(sys::own_pid()) % target.names.size();
  for (std::size_t i = 0; i < target.names.size(); ++i) {
    const std::string path = target.lock_path(i);
    auto file = sys::open_lock_file(target.directory.fd.get(), target.names[i], sys::OpenFor::locking);
    if (!file) return at_path(file.error(), path);
    const auto outcome = sys::try_lock(file->fd.get(), mode);
    if (!outcome) return at_path(outcome.error(), path);
    if (*outcome == Acquire::busy) {
      if (i != chosen) continue;
      pass.busy = std::move(*file);
      pass.busy_index = i;
      continue;
    }
    const auto freshness = freshness_of(*file, path);
    if (!freshness) return freshness.error();
    pass.freshness = *freshness;
    if (*freshness == Freshness::current) pass.lock.emplace(std::move(*file), target.tier, path, mode);
    return pass;
  }
  return pass;
}

Result<void> renew(const LockRequest& request, Target& target) {
  auto renewed = resolve(request);
  if (!renewed) return renewed.error();
  target = std::move(*renewed);
  return {};
}

// A pass that did not meet a replaced file.
Result<Pass> settled_pass(const LockRequest& request, Target& target, sys::Mode mode) {
  for (;;) {
    auto pass = try_each(target, mode);
    if (!pass || pass->freshness == Freshness::current) return pass;
    if (auto renewed = renew(request, target); !renewed) return renewed.error();
  }
}

}  // namespace

HeldLock& HeldLock::operator=(HeldLock&& other) noexcept {
  if (this == &other) return *this;
  release();
  file_ = std::move(other.file_);
  tier_ = other.tier_;
  path_ = std::move(other.path_);
  mode_ = other.mode_;
  has_record_ = other.has_record_;
  return *this;
}

Result<void> HeldLock::write_record(const Record& record) {
  if (mode_ == sys::Mode::shared || file_.read_only) return {};
  if (auto written = sys::replace_content(file_.fd.get(), to_line(record)); !written) {
    return at_path(written.error(), path_);
  }
  has_record_ = true;
  return {};
}

void HeldLock::release() {
  if (!file_.fd.is_open()) return;
  // Not ours any more, if a process that inherited it has unlocked it and another
  // took it: then the record is that one's. A record that stays behind is shown
  // as stale, so a failure loses nothing.
  if (has_record_) {
    const auto still_ours = sys::try_lock(file_.fd.get(), mode_);
    if (still_ours && *still_ours == Acquire::held) (void)sys::replace_content(file_.fd.get(), {});
  }
  sys::unlock(file_.fd.get());
  file_.fd.reset();
}

StackEntry HeldLock::stack_entry() const { return {tier_, path_, file_.id, sys::own_pid(), mode_}; }

Result<Attempt> try_acquire(const LockRequest& request, Target& target, sys::Mode mode) {
  auto pass = settled_pass(request, target, mode);
  if (!pass) return pass.error();
  const bool held = pass->lock.has_value() || target.names.empty();
  return Attempt{{held ? Acquire::held : Acquire::busy}, std::move(pass->lock)};
}

Result<Attempt> acquire(const LockRequest& request, Target& target, sys::Mode mode,
                        std::optional<sys::Deadline> deadline) {
  for (;;) {
    auto pass = settled_pass(request, target, mode);
    if (!pass) return pass.error();
    if (pass->lock || !pass->busy) return Attempt{{Acquire::held}, std::move(pass->lock)};

    const std::string path = target.lock_path(pass->busy_index);
    const auto end = sys::wait_lock(pass->busy->fd.get(), mode, deadline);
    if (!end) return at_path(end.error(), path);
    if (end->outcome != Acquire::held) return Attempt{*end, {}};
    const auto freshness = freshness_of(*pass->busy, path);
    if (!freshness) return freshness.error();
    if (*freshness == Freshness::current) {
      return Attempt{*end, HeldLock(std::move(*pass->busy), target.tier, path, mode)};
    }
    if (auto renewed = renew(request, target); !renewed) return renewed.error();
  }
}

Result<Probe> probe(const Target& target, sys::Mode mode) {
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
