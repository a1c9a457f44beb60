#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/report/failure.hpp"
#include "core/inspect/file_report.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "sys/process/background_writer.hpp"

namespace grex::cli {

struct Event;

/// A lock as an event names it.
struct EventLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;  ///< of its first file; empty until the slot is known
  sys::Mode mode = sys::Mode::exclusive;
};

/// The events of --json-status-fd, each written as it happens; none without a
/// descriptor. Write errors are ignored. Their reader is never waited for; if it is so
/// slow that an event can't be kept until there is room, a short form of that event is
/// tried.
class Events {
 public:
  Events() = default;

  /// Starts writing to `fd`, which is borrowed, and made close-on-exec unless it is a
  /// standard stream. nullopt: no events.
  void open(std::optional<int> fd);

  /// Sets the locks that events list: first those wanted, then those held.
  void set_locks(const std::vector<core::Target>& wanted);
  void set_locks(const std::vector<core::HeldLock>& held);
  void set_locks(std::vector<EventLock> locks) { locks_ = std::move(locks); }

  [[nodiscard]] bool is_open() const { return writer_ != nullptr; }
  [[nodiscard]] bool is_idle() const { return writer_ == nullptr || writer_->is_idle(); }
  void waiting(const Failure& busy) const;
  /// `guards` are the workspaces that guard packs.
  void acquired(std::chrono::milliseconds waited, const std::vector<std::string>& guards = {});
  void started(pid_t pid) const;
  /// `signal` is the one that killed the command.
  void released(int exit_code, std::optional<int> signal = std::nullopt) const;
  /// Instead of `released`: the command has ended, but these processes have the locks.
  void inherited(const std::vector<core::LockProcess>& processes, int exit_code, std::optional<int> signal) const;

  /// The last event of a command that failed; dispatch() writes it.
  void failed(const Failure& failure) const;

  /// As sys::BackgroundWriter::finish.
  void finish(const sys::WriteEnds& ends);

 private:
  [[nodiscard]] Event event(std::string_view name) const;
  void write(const Event& event) const;

  std::unique_ptr<sys::BackgroundWriter> own_writer_;
  sys::BackgroundWriter* writer_ = nullptr;  // that, or the one of standard error
  std::vector<EventLock> locks_;
  std::chrono::steady_clock::time_point acquired_at_;
};

/// Gives slow readers of events and of standard error one second in all to take what they
/// have not read yet, and discards the rest. A blocked termination signal ends it.
void finish_output(Events& events);

}  // namespace grex::cli
