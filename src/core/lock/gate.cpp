#include "core/lock/gate.hpp"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "sys/lock/flock_wait_any.hpp"
#include "sys/lock/lock_file.hpp"
#include "sys/signal/blocked_signals.hpp"

namespace grex::core {
namespace {

using sys::Acquire;
using sys::WaitEnd;

// The kernel reports to no other process that one was stopped, so it is looked for.
constexpr std::chrono::seconds look_interval(1);

// How long a sharer that passes has the gate, at most, unless it was stopped there.
constexpr std::chrono::milliseconds passing_time(100);

// For how long a waiter has the gate, the first time, and how long it then leaves it.
constexpr std::chrono::seconds first_period(10);
constexpr std::chrono::seconds pause(1);

std::optional<Deadline> earlier(std::optional<Deadline> deadline, std::chrono::nanoseconds time) {
  return earlier_of(deadline, Deadline::clock::now() + time);
}

// Whether a gate is a hard link to a file of its lock: this process would wait for itself.
bool is_file_of(const Target& target, sys::FileId gate) {
  return std::any_of(target.files.begin(), target.files.end(), [&target, gate](const TargetFile& file) {
    const auto files = existing_files(target, file);
    return std::find(files.begin(), files.end(), gate) != files.end();
  });
}

}  // namespace

bool Gates::is_used(const Target& target) const {
  if (!policy_.gates || !policy_.waits || !gate_file(target)) return false;
  const auto reports = [](const TargetFile& file) { return file.if_busy == WhenBusy::report; };
  if (std::any_of(target.files.begin(), target.files.end(), reports)) return false;
  return !policy_.gates->above || ordinal_of(target.tier()) > ordinal_of(*policy_.gates->above);
}

Result<WaitEnd> Gates::approach(FilePosition& at) {
  const Target& target = targets_[at.target];
  if (target_ != &target) gate_.reset();
  if (tier_ == target.tier()) return WaitEnd{Acquire::held};
  tier_ = target.tier();
  has_file_of_tier_ = false;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const Target& shared = targets_[i];
    if (shared.tier() != *tier_ || shared.mode() != sys::Mode::shared || !is_used(shared)) continue;
    const auto end = pass(shared);
    if (end && end->outcome == Acquire::held) continue;
    at = {i, 0};
    return end;
  }
  return WaitEnd{Acquire::held};
}

// Whether a part of a wait has ended, and there is time for the next.
bool Gates::has_time_left(const Result<WaitEnd>& end) const {
  return end && end->outcome == Acquire::timed_out && !has_passed(policy_.deadline);
}

Result<WaitEnd> Gates::wait(const Target& target, sys::LockFile& lock) {
  const bool may_enter = target.mode() == sys::Mode::exclusive && is_used(target);
  const sys::BlockTerminationSignals between_waits;
  for (std::chrono::nanoseconds period = first_period;;) {
    bool must_try_again = false;
    if (!gate_ && may_enter) {
      const auto entered = enter(target);
      must_try_again = entered && entered->outcome == Acquire::busy;
      if (!must_try_again && (!entered || entered->outcome != Acquire::held)) return entered;
    }
    const bool has_gate = gate_.has_value();
    if (!has_gate && !must_try_again) return sys::wait_lock(lock, target.mode(), policy_.deadline);
    const auto until = earlier(policy_.deadline, period);
    auto end = has_gate ? wait_in_gate(lock, until) : sys::wait_lock(lock, target.mode(), until);
    if (end && end->outcome == Acquire::suspended) continue;
    if (!has_time_left(end)) return end;
    if (has_gate) end = sys::wait_lock(lock, target.mode(), earlier(policy_.deadline, pause));
    if (!has_time_left(end)) return end;
    period *= 2;
  }
}

// Waits for the lock as the holder of the gate, and leaves it unless it gets the lock.
Result<WaitEnd> Gates::wait_in_gate(sys::LockFile& lock, std::optional<Deadline> until) {
  const sys::DeferredStop stop;  // on Ctrl-Z, the gate is free before this process stops
  auto any = sys::wait_any(std::span(&lock, 1), sys::Mode::exclusive, until, stop.fd());
  if (!any || any->end.outcome != Acquire::held) gate_.reset();
  return any ? Result(any->end) : any.error();
}

// Takes the gate, if there is one that can be used. `busy`: another process has it, and must
// not be waited for. Any other outcome but `held`: the wait has ended.
Result<WaitEnd> Gates::enter(const Target& target) {
  auto gate = sys::open_lock_file(*gate_file(target), sys::OpenFor::reading);
  if (!gate || is_file_of(target, gate->id)) return WaitEnd{Acquire::held};
  const auto tried = try_gate(*gate, sys::Mode::exclusive, target);
  if (!tried) return WaitEnd{Acquire::held};
  const auto end =
      may_wait_at(*gate, *tried) ? wait_at_gate(*gate, sys::Mode::exclusive, target) : Result(WaitEnd{*tried});
  if (!end) return WaitEnd{Acquire::held};
  if (end->outcome != Acquire::held) return end;
  gate_ = std::move(*gate);
  target_ = &target;
  return WaitEnd{Acquire::held};
}

// Waits until no process has the gate that must be let in first. `busy`: it must be known
// before that that no ancestor has the lock, since what waits in there may wait for that
// ancestor.
Result<WaitEnd> Gates::pass(const Target& target) {
  const sys::LockFileName name = *gate_file(target);
  auto gate = sys::open_lock_file(name, sys::OpenFor::locking);
  if (!gate) return WaitEnd{Acquire::held};
  if (gate->is_new && policy_.observer != nullptr) policy_.observer->lock_file_created(name);
  const auto tried = try_gate(*gate, sys::Mode::shared, target);
  if (!tried || !may_wait_at(*gate, *tried)) return WaitEnd{Acquire::held};
  if (target.files.front().if_busy == WhenBusy::check) {
    return WaitEnd{policy_.gates->must_wait(target, gate->id) ? Acquire::busy : Acquire::held};
  }
  const auto end = wait_at_gate(*gate, sys::Mode::shared, target);
  if (!end || end->outcome == Acquire::busy) return WaitEnd{Acquire::held};
  return end;
}

// An Error is one of the gate.
Result<Acquire> Gates::try_gate(sys::LockFile& gate, sys::Mode mode, const Target& target) {
  return sys::try_lock(gate, mode,
                       [&target] { return sys::open_lock_file(*gate_file(target), sys::OpenFor::writing); });
}

// Whether to wait for a gate that was tried.
bool Gates::may_wait_at(const sys::LockFile& gate, Acquire tried) const {
  return tried != Acquire::held && !gate.is_leased && !has_file_of_tier_;
}

// Waits for the lock of a busy gate. `busy`: it must not be waited for. An Error is one of the
// gate.
Result<WaitEnd> Gates::wait_at_gate(sys::LockFile& gate, sys::Mode mode, const Target& target) {
  const sys::BlockTerminationSignals between_waits;
  std::optional<ObservedWait> observed;
  // Sharers don't keep each other waiting.
  bool may_be_passing = mode == sys::Mode::exclusive;
  // The looks come between the seconds at which the wait is reported, for which it is listed.
  for (std::chrono::nanoseconds interval = look_interval / 2;; interval = look_interval) {
    const bool must_wait = policy_.gates->must_wait(target, gate.id);
    if (!must_wait && !may_be_passing) return WaitEnd{Acquire::busy};
    if (!must_wait) may_be_passing = false;
    // The wait of an exclusive waiter is observed from the lock on.
    if (mode == sys::Mode::shared && !observed) observed.emplace(policy_.observer, target, target.files.front());
    const auto end = sys::wait_lock(gate, mode, earlier(policy_.deadline, must_wait ? interval : passing_time));
    if (!end || end->outcome != Acquire::timed_out || has_passed(policy_.deadline)) return end;
  }
}

}  // namespace grex::core
