#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "core/cluster/keeper_protocol.hpp"
#include "etcd/engine.hpp"
#include "etcd/job.hpp"
#include "sys/process/boot_timer_fd.hpp"
#include "sys/process/line_socket.hpp"
#include "sys/process/shared_deadline.hpp"

namespace grex::etcd {

/// The descriptors with which the keeper was started.
struct KeeperDescriptors {
  sys::LineSocket socket;
  UniqueFd pipe;
  sys::SharedDeadline deadline;
  sys::BootTimerFd timer;

  /// Takes over the numbers that the protocol gives them. Errors: system.
  static Result<KeeperDescriptors> open();
};

/// The keeper's work, whatever the engine: passes requests and reports on, and makes sure that
/// no process works under a lock that is lost. grex-lock does so, too; each is there for the case
/// that the other one was killed or stopped.
///
/// - grex-lock is gone, but not its processes: the locks are kept until all have ended.
/// - The lease can't be renewed: with 40 % left, it is lost; its processes get SIGTERM from
///   grex-lock, or from here if that is gone; with 7 % left, SIGKILL from both.
/// - Another process asked for the lock: the same, with SIGKILL after 10 s, and 1 s later here;
///   then it is released, even if grex-lock has not reacted.
/// - The lock is gone: SIGKILL immediately.
class KeeperLoop : public EngineObserver {
 public:
  explicit KeeperLoop(KeeperDescriptors descriptors);

  /// Returns when there is nothing more to keep.
  void run(Engine& engine);

  void report(core::KeeperReport report) override;
  void renewed(std::uint64_t deadline, std::chrono::nanoseconds ttl) override;

 private:
  struct Loss {
    core::LossReason reason;
    std::uint64_t since;
    std::uint64_t kill_at;
  };

  void wait();
  [[nodiscard]] std::optional<std::uint64_t> next_due() const;
  void read_socket();
  void take(const std::string& line);
  void take_over(const core::AdoptRequest& adopt);
  void take_command(const core::StartedRequest& started);
  void refuse(core::ClusterFault kind, std::string why);
  void drain_pipe();
  void caller_ended();

  void note_in_time(std::uint64_t now);
  void lose_in_time(std::uint64_t now);
  void lose(core::LossReason reason);
  void kill_in_time(std::uint64_t now);
  [[nodiscard]] std::uint64_t kill_time_of(const Loss& loss) const;
  [[nodiscard]] bool has_given_up(const Loss& loss, std::uint64_t now) const;
  void end_if_possible(std::uint64_t now);
  void release_for_caller();
  void release();

  KeeperDescriptors fds_;
  Job job_;
  Engine* engine_ = nullptr;           // while run() runs
  std::deque<UniqueFd> pidfds_;        // that came with `started`, or before it
  bool caller_gone_ = false;           // the socket is at its end
  bool pipe_gone_ = false;             // no process has the liveness pipe open
  bool has_pending_ = false;           // a request has no answer yet
  bool is_held_ = false;               // at least one lock
  bool is_releasing_ = false;          // `released` will mean that nothing is held
  bool is_release_requested_ = false;  // by grex-lock
  bool is_released_ = false;           // nothing is left to release
  std::uint64_t deadline_ = 0;         // of the lease, for as long as it is not lost
  std::chrono::nanoseconds ttl_{0};    // of the lease
  std::optional<Loss> loss_;           // the first
  std::optional<std::uint64_t> note_at_;
  std::optional<std::uint64_t> kill_next_;  // SIGKILL must be sent, perhaps again
};

}  // namespace grex::etcd
