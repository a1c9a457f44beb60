#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/stop_token.hpp"
#include "core/lock/held_lock.hpp"

namespace grex::core {

/// A file that this process has locked.
struct LockedFile {
  std::string path;
  sys::FileId file;
  sys::FileId listed;  ///< its number in the kernel's list, where the device may differ
  sys::Mode mode = sys::Mode::exclusive;
};

/// The files of these locks whose locks can be seen.
std::vector<LockedFile> locked_files(const std::vector<HeldLock>& locks);

/// A process that waits for one of these files, and the process below which it is: the root.
struct WaitingDescendant {
  pid_t pid = 0;
  std::optional<std::uint64_t> started;  ///< field 22 of /proc/PID/stat: with `pid`, it is one process
  std::string path;                      ///< of the file
  /// Whether the root itself waits for its end, or for the lock: then the wait never ends.
  bool is_waited_for = false;
};

/// Looks for processes that wait for one of these files, among `root` and its descendants,
/// whatever program they are. Reads the kernel's list once, and looks at processes only if
/// it shows waiters. Leaves out waits that a timer will end, and sessions beside that of
/// the root unless it waits for them: daemons outlive it. Finds nothing if /proc has other
/// numbers than this PID namespace, or if it should stop.
std::vector<WaitingDescendant> find_waiting_descendants(const std::vector<LockedFile>& files, pid_t root,
                                                        const StopToken& should_stop);

/// What /proc shows of a process that may wait for a child.
struct ParentFacts {
  std::string name;          ///< of its program, cut to 15 bytes
  std::size_t threads = 0;   ///< 0: unknown
  std::string wait_channel;  ///< the function of the kernel in which its main thread sleeps
  std::vector<pid_t> children;
  bool has_timer = false;
};

/// Whether a process does nothing until this child ends: it is its only child, and it sleeps
/// until a child ends or a signal arrives, and no timer will send one. grex-lock has other
/// threads and timers, but waits all the same. Pure.
bool waits_for_child(const ParentFacts& parent, pid_t child);

/// The processes that can't go on before this one ends: itself, its parent if that only waits for
/// its child, and so on.
std::vector<pid_t> waiting_for(pid_t pid);

}  // namespace grex::core
