#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/lock/record.hpp"
#include "core/lock/tier.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

enum class LockState { held, free, absent, unknown };
enum class Evidence { kernel, probe, none };
enum class RecordState { valid, stale, none };
enum class Role { acquirer, fd_holder, waiter };

std::string_view name_of(LockState state);
std::string_view name_of(Evidence evidence);
std::string_view name_of(RecordState state);
std::string_view name_of(Role role);

/// A process that holds a lock or waits for it. What can't be known is empty.
struct LockProcess {
  std::optional<pid_t> pid;
  Role role = Role::fd_holder;
  std::optional<bool> alive;
  std::optional<pid_t> parent;  ///< the nearest of its ancestors that has this lock too
  std::optional<uid_t> uid;
  std::optional<std::string> user;
  std::vector<std::string> command;
  std::string cwd;
  std::optional<UtcTime> since;
  std::string host;
  std::optional<std::string> note;
  std::optional<std::string> verb;
  std::optional<sys::Mode> mode;
  std::optional<unsigned> slot;             ///< at tier semaphore
  std::optional<ProcessIdentity> identity;  ///< as a valid record has it
};

/// The kernel's view of one lock file.
struct FileReport {
  LockState state = LockState::unknown;
  std::string_view why_unknown;  ///< a literal; may be empty
  std::optional<sys::Mode> mode;
  Evidence evidence = Evidence::none;
  std::vector<LockProcess> holders;  ///< those that took it first, then those that have it open
  std::vector<LockProcess> waiters;  ///< in the kernel's order
  RecordState record = RecordState::none;
  std::optional<std::uint64_t> device;  ///< st_dev of the file, where there is one
};

/// Asked now and then by what takes long: whether nobody waits for it any more.
using StopToken = std::function<bool()>;
inline bool never_stop() { return false; }

/// How far to search for holders.
struct HolderSearch {
  enum class Extent {
    everyone,   ///< all processes that have the lock open
    acquirers,  ///< the process that took it, and others only if that is gone
  };
  Extent extent = Extent::everyone;
  StopToken should_stop = never_stop;  ///< then what was found so far is reported
};

/// Looks at lock files as they are, from the kernel's list first. Only where
/// that may be incomplete the lock is tried, for an instant. Never `free` where
/// it is not known. Changes nothing. One report a path, in their order. `mounts`
/// are those that can be seen now.
std::vector<FileReport> inspect(const std::vector<std::string>& paths, const std::vector<Mount>& mounts,
                                const HolderSearch& search = {});

}  // namespace grex::core
