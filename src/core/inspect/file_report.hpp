#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/time_text.hpp"
#include "core/lock/record.hpp"
#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// `lost`: a process holds the lock of a file that was removed, replaced or moved away, so it
/// keeps out no process that looks for it by its path.
enum class LockState { lost, held, unknown, free, absent };

/// Whether a process is known to hold the lock.
inline bool is_in_use(LockState state) { return state == LockState::held || state == LockState::lost; }

/// Whether a process may hold it.
inline bool may_be_in_use(LockState state) { return is_in_use(state) || state == LockState::unknown; }

enum class Evidence { kernel, probe, none, cluster };
enum class RecordState { valid, stale, none };
enum class Role { acquirer, fd_holder, waiter };

std::string_view name_of(LockState state);
std::string_view name_of(Evidence evidence);
std::string_view name_of(RecordState state);
std::string_view name_of(Role role);

/// Which processes have the descriptor open with which an acquirer took its lock. If none
/// has, it may be on its way through a socket (unix(7), SCM_RIGHTS).
enum class Openers {
  not_known,
  none_seen,  ///< none, or one that even root may not inspect
  none,
};

/// What a cluster says of a process that holds a lock there, or waits for it.
struct ClusterSeat {
  std::uint64_t token = 0;
  std::uint64_t position = 0;                           ///< 0: a holder; 1: next in line
  std::optional<std::chrono::milliseconds> lease_left;  ///< nullopt: not known
};

/// The process whose end a hold waits for.
struct WatchedProcess {
  pid_t pid = 0;
  std::vector<std::string> command;
};

/// A process that holds a lock or waits for it. Unknown members are empty.
struct LockProcess {
  std::optional<pid_t> pid;
  Role role = Role::fd_holder;
  std::optional<bool> alive;
  std::optional<pid_t> parent;  ///< its nearest ancestor that has this lock, too
  std::optional<uid_t> uid;
  std::optional<std::string> user;
  std::vector<std::string> command;
  std::string cwd;
  std::optional<UtcTime> since;
  std::string host;
  std::optional<std::string> note;
  std::optional<std::string> verb;
  std::optional<sys::Mode> mode;
  std::optional<unsigned> slot;  ///< at tier semaphore
  std::string file;              ///< the first file at which it was seen
  bool is_lost = false;          ///< what it holds, or waits for, is a lost lock
  bool is_stopped = false;       ///< a holder, by a signal, as Ctrl-Z does
  /// Of the same lock: with a holder, the further files that it has; with a waiter, those
  /// that it has already.
  std::vector<std::string> more_files = {};
  Openers openers = Openers::not_known;
  std::optional<ClusterSeat> seat = {};        ///< of a lock that a cluster keeps
  std::optional<WatchedProcess> watched = {};  ///< of a hold
};

/// Adds the processes that were seen at a file, which may be that of a slot. One that has
/// several files of a lock, or waits for any slot, is listed once.
void add_processes(std::vector<LockProcess>& all, std::vector<LockProcess> more, const std::string& file,
                   std::optional<unsigned> slot = std::nullopt);

/// The process that had a lock before it was released.
struct LastHolder {
  LockProcess process;
  Release release;
};

/// The report on one lock file.
struct FileReport {
  LockState state = LockState::unknown;
  std::optional<Error> why_unknown;  ///< if it is unknown, and the reason is known
  std::optional<sys::Mode> mode;
  Evidence evidence = Evidence::none;
  std::vector<LockProcess> holders;  ///< first those that took it, then those that have it open
  std::vector<LockProcess> waiters;  ///< in the kernel's order
  RecordState record = RecordState::none;
  /// Like the next one, null in most reports, and then a pointer takes little room: `status -r`
  /// has a report on each of thousands of files.
  std::shared_ptr<LastHolder> last;
  /// A process that has a lease on the file, so it was not opened; without a pid if it can't
  /// be seen. Not on a file whose lock is held.
  std::shared_ptr<LockProcess> lease;
  std::optional<sys::FileStatus> file;  ///< before it was inspected, if there is one
  bool is_list_cut = false;             ///< the kernel's list was not read to its end: there may be more holders
};

}  // namespace grex::core
