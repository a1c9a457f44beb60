#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/locking/take.hpp"
#include "cli/report/events.hpp"
#include "core/cluster/cluster.hpp"
#include "sys/process/boot_timer.hpp"

namespace grex::cli {

/// Watches the cluster's part of locks under which a command runs: whether the lease is renewed,
/// and whether the cluster asks for a lock or has lost it. The references are borrowed.
class ClusterWatch {
 public:
  ClusterWatch(Acquired& acquired, const Events& events) : acquired_(acquired), events_(events) {}

  /// To be called before the command is started. Errors: system.
  Result<void> prepare();

  /// The command has started; SIGIO says from now on when to look.
  void begin(pid_t command);

  /// Looks; also when the command has ended, or has been continued.
  void look();

  /// Whether a lock is lost, so that the command must be stopped; and how long it may then take
  /// to end, which may become less.
  [[nodiscard]] bool must_stop() const { return loss_.has_value(); }
  [[nodiscard]] std::chrono::nanoseconds time_to_end() const;

  /// How long the lease lasts if it is not renewed any more, up to when the command must have
  /// ended.
  [[nodiscard]] std::chrono::nanoseconds time_left() const;

  /// When to look even if no SIGIO comes.
  [[nodiscard]] std::optional<Deadline> due() const { return acquired_.cluster->retry_at(); }

  /// Then the failure of the command; `stopped` says what became of it.
  [[nodiscard]] Failure failure(const std::string& stopped) const;

 private:
  struct Loss {
    core::LossReason reason = core::LossReason::unanswered;
    std::chrono::seconds silence{0};  // how long the cluster had not answered
    std::uint64_t end_by = 0;         // CLOCK_BOOTTIME
  };

  void lose(core::LossReason reason);
  void set_timer() const;

  Acquired& acquired_;
  const Events& events_;
  std::optional<sys::BootTimer> timer_;
  std::string names_;  // of the locks
  std::optional<Loss> loss_;
};

/// Waits until the cluster has released the locks with these names, as Acquired::cluster was asked
/// to; if it doesn't answer, says so.
void finish_cluster_release(Acquired& acquired, const std::string& names, const LockOptions& options);

}  // namespace grex::cli
