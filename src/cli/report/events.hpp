#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/report/failure.hpp"
#include "core/inspect/file_report.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/target.hpp"
#include "sys/process/background_writer.hpp"
#include "sys/process/log_writer.hpp"

namespace grex::cli {

struct Event;

/// A lock as an event names it.
struct EventLock {
  core::Tier tier = core::Tier::per_pack;
  std::string path;  ///< of its first file; empty until the slot is known
  sys::Mode mode = sys::Mode::exclusive;
  std::string name = {};                    ///< in the cluster that keeps it, too; or empty
  std::optional<std::uint64_t> token = {};  ///< once the cluster's part is held
};

EventLock event_lock_of(const core::HeldLock& lock);

/// What an event reports of a lock of which files were removed or replaced.
struct LostLock {
  EventLock lock;
  std::vector<std::string> files;    ///< their paths
  std::string_view was;              ///< a literal: see core::Whereabouts
  std::optional<Failure> busy = {};  ///< another process has the new file locked
};

/// The events of --json-status-fd and --log, each written as it happens; none without
/// either. Errors of the descriptor are ignored, and the first one of the log is a warning.
/// Neither is ever waited for; if it is so slow that an event can't be kept until there is
/// room, a short form of that event is tried. Commands are whole for the descriptor, but
/// only the program's name in the log, which outlives them: arguments may be secrets.
class Events {
 public:
  Events() = default;

  /// Starts writing to `fd`, which is borrowed, and made close-on-exec unless it is a
  /// standard stream. nullopt: no events.
  void open(std::optional<int> fd);

  /// Starts appending to this log, an absolute path. `warns` is false with -q.
  void open_log(std::string path, bool warns);

  /// What events show as the note of this process; may be empty.
  void set_note(std::string note) { note_ = std::move(note); }

  /// Sets the locks that events list, once these are open: first those wanted, then those held.
  void set_locks(const std::vector<core::Target>& wanted);
  void set_locks(const std::vector<core::HeldLock>& held);
  void set_locks(std::vector<EventLock> wanted);

  [[nodiscard]] bool is_open() const { return writer_ != nullptr || log_ != nullptr; }
  /// Whether finish() has nothing to do.
  [[nodiscard]] bool is_idle() const { return (writer_ == nullptr || writer_->is_idle()) && log_ == nullptr; }
  void waiting(const Failure& busy) const;
  /// What stands in the way of the same wait by now; writes nothing.
  void still_waiting(const Failure& busy) const;
  /// `guards` are the workspaces that guard packs.
  void acquired(std::chrono::milliseconds waited, const std::vector<std::string>& guards = {});
  void started(pid_t pid) const;
  /// `signal` is the one that killed the command.
  void released(int exit_code, std::optional<int> signal = std::nullopt) const;
  /// Instead of `released`: the command has ended, but these processes have the locks.
  void inherited(const std::vector<core::LockProcess>& processes, int exit_code, std::optional<int> signal) const;

  /// These list only that lock: files were created and locked again; were renamed with their
  /// directory; no longer keep other processes out.
  void restored(const LostLock& lost) const { write(lost, "restored"); }
  void moved(const LostLock& lost) const { write(lost, "moved"); }
  void lost(const LostLock& lost) const { write(lost, "lost"); }
  /// A cluster does not keep the locks any more, for this reason, a literal.
  void lost(std::string_view reason) const;

  /// This process waits for one of the locks, and may have to end before they are released;
  /// `is_certain` if it must.
  void deadlock(const core::LockProcess& waiter, bool is_certain) const;

  /// The last event of a command that failed; dispatch() writes it.
  void failed(const Failure& failure) const;

  /// As sys::BackgroundWriter::finish.
  void finish(const sys::WriteEnds& ends);
  void finish_log(const sys::WriteEnds& ends);

  /// Stops writing to the descriptor, which has been closed; the log goes on.
  void leave_caller();

 private:
  [[nodiscard]] Event event(std::string_view name) const;
  void write(const Event& event) const;
  void write(const LostLock& lost, std::string_view name) const;
  void warn_of_log() const;

  std::unique_ptr<sys::BackgroundWriter> own_writer_;
  sys::BackgroundWriter* writer_ = nullptr;  // that, or the one of standard error
  std::unique_ptr<sys::LogWriter> log_;
  bool warns_of_log_ = true;
  std::string host_;
  std::string note_;
  mutable std::mutex mutex_;  // guards the next two: threads write events, too
  std::vector<EventLock> locks_;
  mutable std::optional<Failure> last_busy_;                       // what was waited for last
  std::optional<std::chrono::steady_clock::time_point> began_at_;  // to take or wait for locks
  std::chrono::milliseconds waited_{0};                            // once the locks are acquired
  bool is_acquired_ = false;
  std::chrono::steady_clock::time_point acquired_at_;
};

/// Gives slow readers of events and of standard error, and the log, one second in all to take
/// what they have not taken yet, and discards the rest. A blocked termination signal ends it.
void finish_output(Events& events);

/// The same for the log alone: exec would end its thread.
void finish_log(Events& events);

}  // namespace grex::cli
