#include "core/lock/acquire.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>

#include "core/lock/file_order.hpp"
#include "core/lock/gate.hpp"
#include "core/lock/slot_queue.hpp"
#include "sys/lock/flock_wait_any.hpp"
#include "sys/process/descriptor_limit.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::core {
namespace {

using sys::Acquire;

// The outcome of trying one file.
struct Step {
  enum class Kind {
    ours,      ///< held; no `file` if another of our locks has it
    replaced,  ///< held, but its path no longer names this file
    ended,     ///< not held; see `end`
  };
  Kind kind = Kind::ended;
  std::optional<HeldFile> file = {};
  sys::WaitEnd end = {};
};

struct TakenFile {
  FilePosition at;
  HeldFile held;
  sys::Mode mode;
};

// Whether this is the only name of a file that had one name when it was opened. If it
// has changed since, a process that had the lock before may have written its record; none
// does now.
bool has_one_name(const sys::LockFile& file, const sys::FileStatus& named, const sys::LockFileName& name) {
  const bool is_unchanged = named.names == 1 && named.changed == file.changed;
  return is_unchanged || sys::status_if_only_name(file, name);
}

// What a name leads to, if that is still this file, and its directory's path still leads to
// that directory; else nullopt. This process need not be able to reach it by that path.
Result<std::optional<sys::FileStatus>> status_in_place(const sys::LockFile& file, const sys::LockFileName& name) {
  const auto named = sys::look_up(name);
  if (!named) return named.error();
  const bool is_in_place = named->id == file.id && !sys::is_elsewhere(*name.directory);
  return is_in_place ? std::optional(*named) : std::nullopt;
}

// If a lock file is removed or replaced, a second holder can lock the new one; the lock
// on the old one guards nothing.
Result<Step> checked(sys::LockFile file, const TargetFile& wanted, std::size_t index) {
  const sys::LockFileName name = wanted.name_at(index);
  const auto named = status_in_place(file, name);
  if (!named) return named.error();
  if (!*named) return Step{Step::Kind::replaced};
  file.must_not_write = file.must_not_write || !has_one_name(file, **named, name);
  return Step{Step::Kind::ours, HeldFile{std::move(file), name.path(), name}};
}

// A file that has to be taken, and the directory in which it is opened.
struct Wanted {
  const Target& target;
  const TargetFile& file;
  int directory = -1;  // that of the lock file itself; -1: as the target names it

  [[nodiscard]] bool has_record() const { return &file == &target.files.back(); }

  // Whether the paths of its directories name others by now.
  [[nodiscard]] bool has_moved(std::size_t index) const {
    if (sys::is_elsewhere(*file.directory)) return true;
    const std::string& name = file.names[index];
    const auto opened = directory < 0 ? sys::FileStatus{} : sys::status_of(directory);
    const auto named = sys::status_at(file.directory->fd.get(), name.substr(0, name.rfind('/') + 1) + ".");
    return directory >= 0 && opened && named && named->id != opened->id;
  }

  // Errors have the whole path.
  [[nodiscard]] Result<sys::LockFile> open(std::size_t index, sys::OpenFor purpose) const {
    const sys::LockFileName name = file.name_at(index);
    if (directory < 0) return sys::open_lock_file(name, purpose);
    const std::string_view last = std::string_view(name.name).substr(name.name.rfind('/') + 1);
    auto opened = sys::open_lock_file(directory, std::string(last), purpose);
    if (opened) return opened;
    // The Error is about the file or its directory.
    const std::string path = name.path();
    const bool is_file = !opened.error().path.empty();
    return at_path(opened.error(), is_file ? path : path.substr(0, path.rfind('/')));
  }
};

// `gates` is null if none are used.
Result<Step> wait_for(const Wanted& wanted, std::vector<sys::LockFile> files, const WaitPolicy& policy, Gates* gates) {
  const TargetFile& file = wanted.file;
  sys::AnyEnd any;
  if (files.size() == 1) {
    const auto end = gates != nullptr ? gates->wait(wanted.target, files.front())
                                      : sys::wait_lock(files.front(), wanted.target.mode(), policy.deadline);
    if (!end) return at_path(end.error(), file.path(0));
    any.end = *end;
  } else {
    const auto end = wait_for_slot(file, files, policy);
    if (!end) return end.error().path.empty() ? at_path(end.error(), file.path(0)) : end.error();
    any = *end;
  }
  if (any.end.outcome != Acquire::held) return Step{Step::Kind::ended, {}, any.end};
  return checked(std::move(files[any.index]), file, any.index);
}

// Reports that the file is busy if it still is after `before_check`.
Result<Step> wait_shortly(const Wanted& wanted, sys::LockFile file, const WaitPolicy& policy) {
  const Deadline until_check = Deadline::clock::now() + policy.before_check;
  const auto end = sys::wait_lock(file, wanted.target.mode(), earlier_of(policy.deadline, until_check));
  if (!end) return at_path(end.error(), wanted.file.path(0));
  if (end->outcome == Acquire::held) return checked(std::move(file), wanted.file, 0);
  const bool must_check = end->outcome == Acquire::timed_out && !has_passed(policy.deadline);
  return Step{Step::Kind::ended, {}, must_check ? sys::WaitEnd{Acquire::busy} : *end};
}

struct Tried {
  sys::LockFile file;
  Acquire outcome = Acquire::busy;
};

// Opens a file and tries its lock.
Result<Tried> open_and_try(const Wanted& wanted, std::size_t index, const WaitPolicy& policy) {
  const bool is_written = policy.will_record && wanted.has_record() && wanted.target.mode() == sys::Mode::exclusive;
  auto file = wanted.open(index, is_written ? sys::OpenFor::recording : sys::OpenFor::locking);
  if (!file) return file.error();
  const auto outcome =
      sys::try_lock(*file, wanted.target.mode(), [&] { return wanted.open(index, sys::OpenFor::recording); });
  if (!outcome) return at_path(outcome.error(), wanted.file.path(index));
  return Tried{std::move(*file), *outcome};
}

// In a file that stays empty now, grex-lock 0.1 may have left a record.
void remove_old_record(const HeldFile& held, const Wanted& wanted) {
  const bool may_have_one =
      !wanted.has_record() && held.file.has_content && wanted.target.mode() == sys::Mode::exclusive;
  if (!may_have_one) return;
  const auto writable = wanted.open(0, sys::OpenFor::writing);
  if (writable && writable->id == held.file.id) empty_record(*writable, held.name);
}

// `gates` as for wait_for.
Result<Step> take(const Wanted& wanted, const std::vector<TakenFile>& ours, const WaitPolicy& policy,
                  Gates* gates = nullptr) {
  const auto& [target, file, directory] = wanted;
  const bool waits = policy.waits && file.if_busy == WhenBusy::wait;
  const bool waits_shortly = policy.waits && file.if_busy == WhenBusy::check && file.names.size() == 1 &&
                             policy.before_check > std::chrono::nanoseconds(0);
  std::optional<sys::RaisedDescriptorLimit> room;  // for all slots
  std::vector<sys::LockFile> busy;
  for (std::size_t i = 0; i < file.names.size(); ++i) {
    auto tried = open_and_try(wanted, i, policy);
    if (!tried && wanted.has_moved(i)) return Step{Step::Kind::replaced};
    if (!tried) return tried.error();
    if (tried->file.is_new && policy.observer != nullptr) policy.observer->lock_file_created(file.name_at(i));
    // The same file through a bind mount or a hard link: waiting for it would never end.
    const auto is_it = [&tried](const TakenFile& taken) { return taken.held.file.id == tried->file.id; };
    const auto same = std::find_if(ours.begin(), ours.end(), is_it);
    if (same != ours.end()) {
      // In one mode, it can't be locked in the other one, too.
      const bool is_enough = same->mode == sys::Mode::exclusive || target.mode() == sys::Mode::shared;
      if (!is_enough) return Error{ErrorKind::unsafe_file, "open", file.path(i), EMLINK};
      return Step{Step::Kind::ours};
    }
    if (tried->outcome == Acquire::held) {
      return checked(std::move(tried->file), file, i);
    }
    if (waits_shortly) return wait_shortly(wanted, std::move(tried->file), policy);
    if (!waits) continue;
    if (file.names.size() > 1 && !room) room.emplace();
    busy.push_back(std::move(tried->file));
  }
  if (!waits) return Step{Step::Kind::ended, {}, {Acquire::busy}};
  const ObservedWait observed(policy.observer, target, file);
  return wait_for(wanted, std::move(busy), policy, gates);
}

// Unlocks a file even if closing it fails.
void release(const HeldFile& held) { (void)sys::unlock(held.file.fd.get()); }

// Whether the names of all files still lead to them: before the last one was locked, there
// may have been a long wait.
bool are_named(const std::vector<TakenFile>& taken) {
  return std::all_of(taken.begin(), taken.end(), [](const TakenFile& file) {
    const auto named = status_in_place(file.held.file, file.held.name);
    return named && *named;
  });
}

// Takes what is kept elsewhere of the locks, tier by tier.
class RemoteSteps {
 public:
  RemoteSteps(const std::vector<Target>& targets, const WaitPolicy& policy) : targets_(targets), policy_(policy) {
    if (policy.remote == nullptr) return;
    for (const Target& target : targets) {
      if (target.wants_cluster()) tiers_.insert(target.tier());
    }
  }

  // Takes those at tiers before this one; without one, all that are left.
  Result<sys::WaitEnd> take_before(std::optional<Tier> tier) {
    while (!tiers_.empty() && (!tier || ordinal_of(*tiers_.begin()) < ordinal_of(*tier))) {
      const auto end = policy_.remote->take(*tiers_.begin(), targets_, policy_);
      if (!end || end->outcome != Acquire::held) return end;
      tiers_.erase(tiers_.begin());
    }
    return sys::WaitEnd{Acquire::held};
  }

 private:
  const std::vector<Target>& targets_;
  const WaitPolicy& policy_;
  std::set<Tier> tiers_;
};

// Takes all files; if not, `at` is the one that was not taken.
Result<Step> take_all(const std::vector<Target>& targets, const WaitPolicy& policy, std::vector<TakenFile>& taken,
                      Attempt& attempt) {
  FilePosition& at = attempt.at;
  const auto order = order_of(targets, at);
  if (!order && sys::is_elsewhere(*targets[at.target].files[at.file].directory)) return Step{Step::Kind::replaced};
  if (!order) return order.error();
  Gates gates(targets, policy);
  RemoteSteps remote(targets, policy);
  // What is kept elsewhere, unless it is held.
  const auto remote_before = [&](std::optional<Tier> tier) -> std::optional<Result<Step>> {
    if (policy.remote == nullptr) return std::nullopt;
    const auto end = remote.take_before(tier);
    if (end && end->outcome == Acquire::held) return std::nullopt;
    if (!end && end.error().op == remote_lost) return Step{Step::Kind::replaced};
    attempt.is_remote = true;
    return end ? Result(Step{Step::Kind::ended, {}, *end}) : Result<Step>(end.error());
  };
  for (const OrderedFile& next : *order) {
    at = next.at;
    if (auto stopped = remote_before(targets[at.target].tier())) return std::move(*stopped);
    const auto passed = gates.approach(at);
    if (!passed) return passed.error();
    if (passed->outcome != Acquire::held) return Step{Step::Kind::ended, {}, *passed};
    const Target& target = targets[at.target];
    const TargetFile& file = target.files[at.file];
    const int directory = next.directory.fd.is_open() ? next.directory.fd.get() : file.directory->fd.get();
    const Wanted wanted = {target, file, directory};
    auto step = take(wanted, taken, policy, &gates);
    if (!step || step->kind != Step::Kind::ours) return step;
    gates.took_file();
    if (!step->file) continue;
    remove_old_record(*step->file, wanted);
    taken.push_back({at, std::move(*step->file), target.mode()});
  }
  if (auto stopped = remote_before(std::nullopt)) return std::move(*stopped);
  const bool has_waited = taken.size() > 1 || (policy.remote != nullptr && !taken.empty());
  return Step{!has_waited || are_named(taken) ? Step::Kind::ours : Step::Kind::replaced};
}

// Combines what is held of each lock.
std::vector<HeldLock> locks_of(const std::vector<Target>& targets, std::vector<TakenFile> taken,
                               const RemoteLocks* remote) {
  std::vector<HeldLock> locks;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    std::vector<HeldFile> files;
    for (TakenFile& file : taken) {
      if (file.at.target == i) files.push_back(std::move(file.held));
    }
    auto entry = remote != nullptr ? remote->entry_of(i) : std::nullopt;
    if (files.empty() && !entry) continue;
    locks.emplace_back(targets[i].tier(), targets[i].path, targets[i].mode(), std::move(files), std::move(entry));
  }
  return locks;
}

// Whether a file could be taken now, and its path, or that of a free slot.
Result<Probe> probe(const TargetFile& wanted, sys::Mode mode) {
  for (std::size_t i = 0; i < wanted.names.size(); ++i) {
    const sys::LockFileName name = wanted.name_at(i);
    const std::string path = name.path();
    auto file = sys::open_lock_file(name, sys::OpenFor::reading);
    if (!file && file.error().err == ENOENT) return Probe{Acquire::held, 0, path, true};  // it would be created
    if (!file) return file.error();
    // Released when `file` is closed.
    const auto outcome =
        sys::try_lock(*file, mode, [&name] { return sys::open_lock_file(name, sys::OpenFor::writing); });
    if (!outcome) return at_path(outcome.error(), path);
    if (*outcome == Acquire::held) return Probe{Acquire::held, 0, path};
  }
  return wanted.names.empty() ? Probe{Acquire::held, 0, wanted.directory->path}
                              : Probe{Acquire::busy, 0, wanted.path(0)};
}

}  // namespace

Attempt acquire(std::vector<Target>& targets, const WaitPolicy& policy) {
  Attempt attempt{sys::WaitEnd{Acquire::held}, {}};
  for (;;) {
    std::vector<TakenFile> taken;
    const auto step = take_all(targets, policy, taken, attempt);
    if (step && step->kind == Step::Kind::ours) {
      attempt.locks = locks_of(targets, std::move(taken), policy.remote);
      return attempt;
    }
    if (policy.remote != nullptr) policy.remote->release();
    while (!taken.empty()) {
      release(taken.back().held);
      taken.pop_back();
    }
    if (!step || step->kind == Step::Kind::ended) {
      attempt.end = step ? Result(step->end) : Result<sys::WaitEnd>(step.error());
      return attempt;
    }
    // Files that are replaced again and again must not keep a blocked signal waiting.
    if (const auto signal = sys::take_termination_signal()) {
      attempt.end = sys::WaitEnd{Acquire::cancelled, *signal};
      return attempt;
    }
    if (has_passed(policy.deadline)) {
      attempt.end = sys::WaitEnd{Acquire::timed_out};
      return attempt;
    }
    attempt.at = {};
    if (auto renewed = re_resolve(targets, attempt.at.target); !renewed) {
      attempt.end = renewed.error();
      return attempt;
    }
  }
}

Result<sys::WaitEnd> wait_until_free(const Target& target, const TargetFile& file, const WaitPolicy& policy) {
  const auto step = take({target, file}, {}, policy);
  if (!step) return step.error();
  if (step->file) release(*step->file);
  return step->kind == Step::Kind::ended ? step->end : sys::WaitEnd{Acquire::held};
}

Result<Probe> probe(const Target& target) {
  std::string path = target.shown_path();
  bool is_new = false;
  for (std::size_t i = 0; i < target.files.size(); ++i) {
    auto probed = probe(target.files[i], target.mode());
    if (!probed) return probed.error();
    if (i == 0) {
      path = probed->path;
      is_new = probed->is_new;
    }
    if (probed->outcome == Acquire::busy) return Probe{Acquire::busy, i, std::move(probed->path)};
  }
  return Probe{Acquire::held, 0, std::move(path), is_new};
}

}  // namespace grex::core
