#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/report/failure.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"

namespace grex::cli {

/// A lock as an event names it.
struct EventLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;  ///< of the lock file; empty where it is not yet known which permit it will be
  sys::Mode mode = sys::Mode::exclusive;
};

/// One event, with what is known at that moment.
struct Event {
  std::string name;
  core::UtcTime time;
  std::vector<EventLock> locks;
  std::optional<std::chrono::milliseconds> waited = {};
  std::optional<std::chrono::milliseconds> held = {};
  std::optional<pid_t> pid = {};
  std::optional<int> exit_code = {};
  const Failure* error = nullptr;  ///< with "failed"; borrowed
  const Failure* busy = nullptr;   ///< with "waiting", what stands in the way; borrowed
};

/// The events of --json-status-fd, each written as it happens. Without a
/// descriptor nothing is. A reader who is gone misses them; that is all. While
/// locks are held or waited for, an event for which a reader has left no room is
/// dropped: nobody's lock hangs on it.
class Events {
 public:
  /// `fd` is borrowed, and kept from the programs that are run (but for the
  /// standard streams).
  explicit Events(std::optional<int> fd);

  /// The locks that the events are about: first as they are wanted, then as held.
  void about(const std::vector<core::Target>& wanted, sys::Mode mode);
  void about(const std::vector<core::HeldLock>& held);
  void about(std::vector<EventLock> locks) { locks_ = std::move(locks); }

  [[nodiscard]] bool are_wanted() const { return fd_.has_value(); }
  void waiting(const Failure& busy) const;
  void acquired(std::chrono::milliseconds waited);
  void started(pid_t pid) const;
  void released(int exit_code) const;

  /// The end of a command: tells why it failed, if it did. Hands it back.
  [[nodiscard]] Outcome ended(Outcome outcome) const;

 private:
  [[nodiscard]] Event event(std::string name) const;
  enum class Patience { none, waits };
  void write(const Event& event, Patience patience) const;

  std::optional<int> fd_;
  std::vector<EventLock> locks_;
  std::chrono::steady_clock::time_point acquired_at_;
};

}  // namespace grex::cli
