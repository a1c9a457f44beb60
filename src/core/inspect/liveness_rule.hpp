#pragma once

#include "core/lock/tier_stack.hpp"

namespace grex::core {

/// What is known of an entry of the tier stack. Each member is at first what is known if
/// nothing can be read.
struct EntryFacts {
  /// Whether the lock is held by a descriptor that this process inherited, or that an
  /// ancestor of our user or root has open.
  enum class Descriptor { not_seen, holds_lock };
  /// The holder of the file in the kernel's list.
  enum class Listed { not_known, nothing, entrys_number, another_number, sharers };
  /// Whether a file system with the file's device is mounted here.
  enum class Device { not_known, mounted, not_mounted };
  /// Whether a valid record in the file names another process.
  enum class Recorded { not_known, another_process };
  /// The process that has the entry's number; `another` started after the lock was taken.
  enum class Process { not_known, same, zombie, gone, another };
  /// Whether numbers of processes mean the same in the entry, in the kernel's list and in
  /// /proc: all three may belong to different PID namespaces.
  enum class Numbers { not_comparable, comparable };

  Descriptor descriptor = Descriptor::not_seen;
  Listed listed = Listed::not_known;  ///< an exclusive holder, except for `sharers`
  bool list_is_complete = false;      ///< `nothing` means that the file was not locked
  bool was_free = false;              ///< when the lock was tried
  Device device = Device::not_known;
  Recorded recorded = Recorded::not_known;
  Process process = Process::not_known;
  Numbers numbers = Numbers::not_comparable;
  /// Whether a process that can be seen has the file open with the lock that the entry's
  /// number took.
  bool is_open_elsewhere = false;
};

/// Whether the entry's process no longer runs, as far as is known.
bool has_ended(EntryFacts::Process process);

/// The rule. Only a descriptor proves that the lock is held; what can't be known is a
/// reason to refuse, never to go on. Pure.
Liveness decide(const EntryFacts& facts);

}  // namespace grex::core
