#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/stop_token.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/proc_locks.hpp"

namespace grex::core {

/// The machine's flock(2) locks as the kernel listed them at one moment.
class KernelView {
 public:
  /// Reads /proc; if that can't be read, the view is empty. The view may be complete for
  /// files on these mounts, and is complete for no others. If `should_stop` ends the
  /// reading, the view has what was read so far, and is complete for no file.
  static KernelView take(const std::vector<Mount>& mounts, const StopToken& should_stop = never_stop);

  /// Reads the list again, a limited number of times, if it changed while it was read, and
  /// has what any of the reads showed. It is complete for no file.
  static KernelView take_stable(const StopToken& should_stop = never_stop);

  enum class Scope {
    everything,    ///< no lock of this machine can be missing
    inconsistent,  ///< locks that came or went during the read may have hidden others
    namespaced,    ///< processes of other PID namespaces are missing
  };
  KernelView(std::vector<KernelLock> locks, std::vector<std::uint64_t> local_devices, Scope scope,
             std::vector<KernelLease> leases = {});

  /// The locks and waits on a file, in the kernel's order.
  [[nodiscard]] std::vector<KernelLock> on(sys::FileId file) const;

  /// The process that has a lease on a file; one of them if there are several. Those of
  /// other PID namespaces are missing.
  [[nodiscard]] std::optional<pid_t> lease_holder(sys::FileId file) const;
  [[nodiscard]] bool has_leases() const { return !leases_.empty(); }

  /// All locks and waits, grouped by file.
  [[nodiscard]] const std::vector<KernelLock>& all() const { return locks_; }

  /// Whether the view has every lock on this file: if `on` lists none, the file is free.
  [[nodiscard]] bool is_complete_for(sys::FileId file) const;

  /// Whether the view has every lock that this kernel keeps and lists.
  [[nodiscard]] bool has_all() const { return scope_ == Scope::everything; }

  /// Whether the view covers the processes of all PID namespaces.
  [[nodiscard]] bool sees_every_process() const { return scope_ != Scope::namespaced; }

  /// Whether a lock that was held all the time may be missing.
  [[nodiscard]] bool is_inconsistent() const { return scope_ == Scope::inconsistent; }

  /// Whether the list was not read to its end.
  [[nodiscard]] bool is_cut() const { return is_cut_; }

  /// Whether one lock or wait may be listed several times, because the list was read in
  /// several pieces.
  [[nodiscard]] bool may_repeat() const { return may_repeat_; }

  /// Whether another read might show a lock on this file that this one missed.
  [[nodiscard]] bool is_inconsistent_for(sys::FileId file) const;

 private:
  [[nodiscard]] bool is_local(sys::FileId file) const;

  std::vector<KernelLock> locks_;  // sorted by file
  std::vector<std::uint64_t> local_devices_;
  std::vector<KernelLease> leases_;
  Scope scope_;
  bool is_cut_ = false;
  bool may_repeat_ = false;
};

}  // namespace grex::core
