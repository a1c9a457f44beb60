#include "cli/locking/lost_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <utility>

#include "cli/locking/git_exclude.hpp"
#include "cli/report/output.hpp"
#include "sys/file/local_file_system.hpp"

namespace grex::cli {
namespace {

using core::Whereabouts;
using std::chrono::milliseconds;
using Attempted = core::Restoration::Outcome;

constexpr std::chrono::seconds interval(1);

// How long the last look may take, if a thread looks: a second, waited for in parts, because
// if this process is stopped, the part in which it was is over when it continues.
constexpr int last_look_waits = 10;
constexpr milliseconds one_wait(100);

bool is_gone(Whereabouts whereabouts) {
  return whereabouts != Whereabouts::in_place && whereabouts != Whereabouts::moved;
}

std::string what_happened(Whereabouts whereabouts) {
  if (whereabouts == Whereabouts::elsewhere) return "its directory was replaced";
  return fmt::format("the file was {}", core::name_of(whereabouts));
}

// Why a file could not be restored.
std::string why_failed(const core::Restoration& restoration) {
  if (!restoration.error) return std::string(restoration.why);
  const Error& error = *restoration.error;
  const Failure failure = failure_from(error);
  return failure.path.empty() ? failure.why : failure.path + ": " + failure.why;
}

}  // namespace

LostWatch::LostWatch(Acquired& acquired, const LockOptions& options, IfLost if_lost, Audience audience,
                     const Events& events)
    : acquired_(acquired), options_(options), if_lost_(if_lost), audience_(audience), events_(events) {
  for (const core::HeldLock& lock : acquired.locks) {
    states_.emplace_back(lock.files().size());
    for (const core::HeldFile& file : lock.files()) {
      if (!sys::is_on_local_file_system(file.file.fd.get())) needs_thread_ = true;
    }
  }
  if (!acquired.locks.empty()) due_ = Deadline::clock::now() + interval;
}

LostWatch::~LostWatch() {
  if (thread_) thread_->end_by(Deadline::clock::now());
}

void LostWatch::do_now() {
  due_ = Deadline::clock::now() + interval;
  needs_thread_ = true;  // by now, one that doesn't answer may be mounted there
  if (!found_.valid()) start_thread();
  if (!take_from_thread(milliseconds(0))) {
    constexpr int quick_polls = 2;
    if (polls_++ < quick_polls) due_ = Deadline::clock::now() + milliseconds(10);
  }
  report();
  const bool is_over = std::all_of(states_.begin(), states_.end(), [](const std::vector<FileState>& files) {
    return std::all_of(files.begin(), files.end(), [](const FileState& file) { return file.is_lost; });
  });
  if (is_over || must_stop()) due_.reset();
}

void LostWatch::look_last() {
  due_.reset();
  if (acquired_.locks.empty() || must_stop()) return;
  if (!needs_thread_) {
    if (!are_in_place()) apply(look(wanted_files(), options_, core::MayBlock::no));
    return;
  }
  int waits_left = last_look_waits;
  // One that looks already may not have come to a file that is gone by now.
  if (!take_from_thread(waits_left)) return;
  start_thread();
  if (!found_.valid()) return apply(look(wanted_files(), options_, core::MayBlock::no));
  take_from_thread(waits_left);
}

void LostWatch::expect_inheritors() {
  for (const core::HeldLock& lock : acquired_.locks) {
    LostChange change{
        LostChange::Kind::lost, {event_lock_of(lock), {}, core::name_of(Whereabouts::removed)}, false, {}};
    for (const core::RestoredFile& restored : lock.restored()) change.lock.files.push_back(restored.file.path);
    change.why = "the restored lock ended with grex-lock, and what the command left running did not inherit it";
    std::vector<std::string>& files = change.lock.files;
    files.erase(std::unique(files.begin(), files.end()), files.end());
    if (!files.empty()) changes_.push_back(std::move(change));
  }
}

// Runs in a thread, maybe an abandoned one, so of this object it uses nothing.
std::vector<LostWatch::Found> LostWatch::look(const std::vector<Wanted>& files, const LockOptions& options,
                                              core::MayBlock may_block) {
  std::vector<Found> results;
  for (const Wanted& wanted : files) {
    Found found{wanted.at, core::find(wanted.file.name, wanted.file.ids, may_block)};
    const bool may_restore = found.whereabouts == Whereabouts::removed || found.whereabouts == Whereabouts::replaced;
    if (may_restore && wanted.max_tries >= 0)
      found.restoration = core::restore(wanted.file, wanted.max_tries, may_block);
    if (found.restoration && found.restoration->is_new) GitExcluder().look_at(wanted.file.name, options);
    results.push_back(std::move(found));
  }
  return results;
}

// Whether each file is in its place, and none was restored. Copies nothing, unlike wanted_files().
bool LostWatch::are_in_place() const {
  const auto is_in_place = [](const core::HeldFile& held) {
    return core::find(held.name, std::span(&held.file.id, 1), core::MayBlock::no) == Whereabouts::in_place;
  };
  return std::all_of(acquired_.locks.begin(), acquired_.locks.end(), [&is_in_place](const core::HeldLock& lock) {
    return lock.restored().empty() && std::all_of(lock.files().begin(), lock.files().end(), is_in_place);
  });
}

std::vector<LostWatch::Wanted> LostWatch::wanted_files() const {
  std::vector<Wanted> files;
  for (std::size_t i = 0; i < acquired_.locks.size(); ++i) {
    const core::HeldLock& lock = acquired_.locks[i];
    for (std::size_t k = 0; k < lock.files().size(); ++k) {
      const FileState& state = states_[i][k];
      const core::HeldFile& held = lock.files()[k];
      if (state.is_lost) continue;
      Wanted wanted{{i, k}, {lock.tier(), lock.mode(), held.name, {held.file.id}}, state.tries_left};
      if (if_lost_ != IfLost::restore) wanted.max_tries = -1;
      for (const core::RestoredFile& restored : lock.restored()) {
        if (restored.index == k) wanted.file.ids.push_back(restored.file.file.id);
      }
      if (held.record) wanted.file.record = held.record->record;
      files.push_back(std::move(wanted));
    }
  }
  return files;
}

void LostWatch::start_thread() {
  auto task = std::make_shared<std::packaged_task<std::vector<Found>()>>(
      [files = wanted_files(), options = options_] { return look(files, options, core::MayBlock::yes); });
  found_ = task->get_future();
  polls_ = 0;
  thread_.emplace();
  if (!thread_->start([task](int) { (*task)(); })) found_ = {};  // another time
}

// The same, but waits for it.
bool LostWatch::take_from_thread(int& waits_left) {
  while (!take_from_thread(one_wait)) {
    if (--waits_left <= 0) return false;
  }
  return true;
}

// Returns whether it has ended.
bool LostWatch::take_from_thread(milliseconds within) {
  if (!found_.valid()) return true;
  if (found_.wait_for(within) != std::future_status::ready) return false;
  auto found = found_.get();
  thread_.reset();
  apply(std::move(found));
  return true;
}

void LostWatch::apply(std::vector<Found> found) {
  for (Found& one : found) apply(one);
}

void LostWatch::apply(Found& found) {
  FileState& state = states_[found.at.lock][found.at.file];
  const bool was_moved = std::exchange(state.is_moved, found.whereabouts == Whereabouts::moved);
  if (state.is_moved && !was_moved) add_change(LostChange::Kind::moved, found, {});
  if (!is_gone(found.whereabouts)) return;
  const std::string what = what_happened(found.whereabouts);
  if (!found.restoration) {
    state.is_lost = true;
    add_change(LostChange::Kind::lost, found, what);
    return;
  }
  auto file = std::exchange(found.restoration->file, std::nullopt);
  if (file) acquired_.locks[found.at.lock].add_restored({found.at.file, std::move(*file)});
  const core::Restoration& restoration = *found.restoration;
  state.tries_left -= restoration.tries;
  switch (restoration.outcome) {
    case Attempted::restored:
      add_change(LostChange::Kind::restored, found, {});
      return;
    case Attempted::relocked:
      add_change(LostChange::Kind::lost, found,
                 what + "; the new one is locked now, but another process may have had it");
      return;
    case Attempted::busy:
      add_change(LostChange::Kind::lost, found, what);
      break;
    case Attempted::failed:
      add_change(LostChange::Kind::lost, found, fmt::format("{}; not restored: {}", what, why_failed(restoration)));
      break;
  }
  state.is_lost = true;
}

// Combines the files of a lock to which the same has happened.
void LostWatch::add_change(LostChange::Kind kind, const Found& found, std::string why) {
  const core::HeldLock& lock = acquired_.locks[found.at.lock];
  const std::string& path = lock.files()[found.at.file].path;
  if (kind == LostChange::Kind::lost) has_lost_ = true;
  LostChange change{kind, {event_lock_of(lock), {path}, core::name_of(found.whereabouts)}, false, std::move(why)};
  change.is_created = found.restoration && found.restoration->is_new;
  if (found.restoration && found.restoration->outcome == Attempted::busy) change.lock.busy.emplace();
  const auto is_same = [&change](const LostChange& other) {
    return other.kind == change.kind && other.lock.lock.path == change.lock.lock.path &&
           other.lock.was == change.lock.was && other.is_created == change.is_created && other.why == change.why &&
           other.lock.busy.has_value() == change.lock.busy.has_value();
  };
  const auto same = std::find_if(changes_.begin(), changes_.end(), is_same);
  if (same == changes_.end()) {
    changes_.push_back(std::move(change));
  } else {
    same->lock.files.push_back(path);
  }
}

void LostWatch::report() {
  for (LostChange& change : std::exchange(changes_, {})) report(change);
}

void LostWatch::report(LostChange& change) {
  const LostLock& lock = change.lock;
  if (lock.busy) {
    const std::vector<sys::LockFileName> files(lock.files.begin(), lock.files.end());
    change.lock.busy = busy_failure_soon({{lock.lock.tier, lock.files.front()}, files, {}, audience_});
  }
  if (change.kind == LostChange::Kind::restored) events_.restored(lock);
  if (change.kind == LostChange::Kind::moved) events_.moved(lock);
  if (change.kind == LostChange::Kind::lost) events_.lost(lock);
  const bool is_reason = must_stop() && change.kind == LostChange::Kind::lost && !reason_;
  if (is_reason) reason_ = change;
  const std::string line = line_about(change);
  if (is_reason || line.empty() || options_.verbosity == Verbosity::quiet) return;
  if (change.kind == LostChange::Kind::restored && options_.verbosity != Verbosity::verbose) {
    const std::string& path = lock.lock.path;
    if (std::find(restored_.begin(), restored_.end(), path) != restored_.end()) return;
    restored_.push_back(path);
  }
  note(line);
}

}  // namespace grex::cli
