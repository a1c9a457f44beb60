#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/watched.hpp"
#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"

namespace grex::core {

/// A lock that can't be acquired because this process, or one above it, keeps it. Whatever
/// the environment says: this is what descriptors and the kernel's list show.
struct AncestorLock {
  /// What connects the lock with this process.
  enum class By {
    inherited,     ///< a descriptor that this process has had from the start
    waiting_tool,  ///< one that an ancestor has open which waits for its command: grex-lock or flock(1)
    ancestor,      ///< one that another ancestor has open; it may unlock it in the meantime
    hold,          ///< a `hold --while-pid` of this process or an ancestor, which need not wait for us
  };
  By by = By::inherited;
  sys::FileId file;
  std::string path;  ///< of the file, by the descriptor; empty if unknown
  sys::Mode mode = sys::Mode::exclusive;
  /// The ancestor or the hold; with `inherited`, the process that took the lock. By their
  /// numbers in /proc; 0: unknown.
  pid_t holder = 0;
  pid_t ancestor = 0;   ///< with `hold`: the process whose end it waits for
  int descriptor = -1;  ///< its number there
};

/// Whether a wait for the lock would never end: nothing but our own end releases it.
inline bool is_certain(const AncestorLock& lock) {
  return lock.by == AncestorLock::By::inherited || lock.by == AncestorLock::By::waiting_tool;
}

/// Whether an ancestor only waits for its command, as far as its name shows that: grex-lock or
/// flock(1). The name is enough, since it is asked only about an ancestor's own lock.
bool is_waiting_tool(pid_t pid);

/// Looks for such a lock on one of these files, all of which are busy for this mode:
/// first at the descriptors of this process, then at those of its ancestors of our user or
/// root, then at the holders that the kernel lists. The first certain one, or else a
/// probable one; nullopt if there is none, or none was found before it should stop.
std::optional<AncestorLock> find_ancestor_lock(const std::vector<sys::FileId>& files, sys::Mode mode,
                                               const WatchedPid& watched_pid, const StopToken& should_stop);

}  // namespace grex::core
