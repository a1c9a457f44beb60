#pragma once

#include <cstdint>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "core/inspect/proc_locks.hpp"

namespace grex::core {

/// The machine's flock(2) locks as the kernel listed them at one moment.
class KernelView {
 public:
  /// Reads /proc; an unreadable /proc gives a view that knows nothing. It may be
  /// complete for files on these mounts, and is for no others.
  static KernelView take(const std::vector<Mount>& mounts);

  /// Looks again, some times at most, where the list changed meanwhile, and has
  /// what any of the looks showed. It is complete for no file.
  static KernelView take_stable();

  enum class Scope {
    everything,    ///< no lock of this machine can be missing
    inconsistent,  ///< locks that came or went meanwhile may have hidden others
    namespaced,    ///< processes of other PID namespaces are missing
  };
  KernelView(std::vector<KernelLock> locks, std::vector<std::uint64_t> local_devices, Scope scope);

  /// The locks and waits on a file, in the kernel's order.
  [[nodiscard]] std::vector<KernelLock> on(sys::FileId file) const;

  /// All of them, those on one file together.
  [[nodiscard]] const std::vector<KernelLock>& all() const { return locks_; }

  /// Whether a lock on this file could not be hidden from the view: where
  /// `on` lists none, the file is free.
  [[nodiscard]] bool is_complete_for(sys::FileId file) const;

  /// Whether the process ids in the view are those of every process.
  [[nodiscard]] bool sees_every_process() const { return scope_ != Scope::namespaced; }

  /// Whether a lock that stood all along may be missing.
  [[nodiscard]] bool is_inconsistent() const { return scope_ == Scope::inconsistent; }

  /// Whether another look might show a lock on this file that this one missed.
  [[nodiscard]] bool is_inconsistent_for(sys::FileId file) const;

 private:
  [[nodiscard]] bool is_local(sys::FileId file) const;

  std::vector<KernelLock> locks_;  // sorted by file
  std::vector<std::uint64_t> local_devices_;
  Scope scope_;
};

}  // namespace grex::core
