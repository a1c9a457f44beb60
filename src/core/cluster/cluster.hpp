#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "core/cluster/cluster_settings.hpp"
#include "core/cluster/keeper_connection.hpp"
#include "core/cluster/keeper_protocol.hpp"
#include "sys/lock/flock_wait.hpp"

namespace grex::core {

/// Why the cluster could not be asked: an Error of this machine, or what the keeper reports.
/// Errors: those of KeeperConnection::start, and by their `op`: the keeper has ended without an
/// answer, or has sent what is none; it has not answered in time; the request is too long; the
/// locks that were held are lost.
using ClusterFailure = std::variant<Error, FailedReport>;
inline constexpr std::string_view keeper_ended = "keeper ended";
inline constexpr std::string_view keeper_garbled = "keeper garbled";
inline constexpr std::string_view keeper_silent = "keeper silent";
inline constexpr std::string_view request_too_long = "request too long";
inline constexpr std::string_view locks_lost = "locks lost";

/// How a request to the cluster ended.
struct ClusterEnd {
  sys::WaitEnd end;           ///< `held`: taken, or free; or as in Attempt
  Queue queue;                ///< unless `held`: the lock that is in the way
  std::vector<HeldKey> keys;  ///< of the locks that were taken, in their order
};

/// Is called while a request waits.
class ClusterWaitObserver {
 public:
  ClusterWaitObserver() = default;
  ClusterWaitObserver(const ClusterWaitObserver&) = delete;
  ClusterWaitObserver& operator=(const ClusterWaitObserver&) = delete;
  virtual ~ClusterWaitObserver() = default;

  /// The request waits, or its place in the queue has changed. `lease_end` is 0 if it needs no
  /// lease; otherwise it is one lease later than the last answer.
  virtual void waits(const WaitingReport& waiting, const sys::SharedDeadline& lease_end) = 0;
  /// It waits no more, or never did.
  virtual void wait_ends() = 0;
};

/// How long a request may wait.
struct ClusterWait {
  bool waits = true;
  std::optional<Deadline> deadline = {};
  ClusterWaitObserver* observer = nullptr;  ///< borrowed; may be null
};

/// The cluster's part of the locks of this process: all have one lease, which the keeper keeps
/// alive. The keeper is started by the first request.
class Cluster {
 public:
  explicit Cluster(ClusterSettings settings) : settings_(std::move(settings)) {}
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  /// If it lives on, the keeper releases the locks when the last process with the liveness pipe
  /// has ended.
  ~Cluster() = default;

  [[nodiscard]] const ClusterSettings& settings() const { return settings_; }

  /// Takes these locks, too, or none of them. A termination signal that is not ignored ends the
  /// wait; the caller may have blocked it.
  Result<ClusterEnd, ClusterFailure> acquire(const std::vector<ClusterLock>& locks, const ClusterWait& wait);

  /// Whether these locks could be taken now; and the same, waiting until each of them was free
  /// once. Nothing is kept.
  Result<ClusterEnd, ClusterFailure> probe(const std::vector<ClusterLock>& locks);
  Result<ClusterEnd, ClusterFailure> wait(const std::vector<ClusterLock>& locks, const ClusterWait& wait);

  /// All holders and waiters of these locks.
  Result<std::vector<ListedLock>, ClusterFailure> list(const std::vector<ClusterLock>& locks);

  /// Makes the holder of a key release it, and waits until the key is gone; or until a termination
  /// signal, or the deadline of the wait: then the report is missing, and the end says why. The
  /// holder may still release it.
  struct Broken {
    sys::WaitEnd end;
    std::optional<ReleasedReport> report;
  };
  Result<Broken, ClusterFailure> break_lock(const HeldKey& key, std::optional<Deadline> deadline);

  /// Whether it has any locks.
  [[nodiscard]] bool has_locks() const { return !keys_.empty(); }

  /// What distinguishes this cluster, and the lease, once a lock is held.
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& lease() const { return lease_; }

  /// A fault of its server that its users should know, once a lock is held; may be empty.
  [[nodiscard]] const std::string& caveat() const { return caveat_; }

  /// The write end of the liveness pipe, for the command to inherit; borrowed.
  [[nodiscard]] int liveness() const { return connection_->liveness(); }

  /// The keeper's process, which is a child of this one.
  [[nodiscard]] pid_t keeper() const { return connection_->keeper(); }

  /// What must stay open if a process keeps the locks after it has closed its descriptors; borrowed.
  [[nodiscard]] std::vector<int> descriptors() const { return connection_->descriptors(); }

  /// The command, unless that is 0, has started: from now on, SIGIO announces reports of the keeper.
  void started(pid_t command);

  /// Why the locks are lost, if a report says so by now. If the keeper has ended, starts another,
  /// which goes on with the lease; if that can't be, it must be tried again at retry_at().
  std::optional<LostReport> look();
  [[nodiscard]] std::optional<Deadline> retry_at() const;

  /// When the lease ends: CLOCK_BOOTTIME, in nanoseconds.
  [[nodiscard]] std::uint64_t lease_end() const { return connection_->lease_end(); }
  [[nodiscard]] std::chrono::milliseconds lease_time() const { return ttl_; }

  /// Begins to release all locks, and finish_release waits for that, for two seconds at most.
  /// Returns whether the locks are free; otherwise they are when the lease has ended. Between
  /// these calls, and afterwards, nothing else may be asked.
  void release();
  bool finish_release();

  /// Does both, if any are held, and ends the connection: the next request starts another keeper.
  void disconnect();

 private:
  // The last answer to a request; nullopt if the wait for it has ended, as `end` says.
  Result<std::optional<KeeperReport>, ClusterFailure> ask(const KeeperRequest& request, const ClusterWait& wait,
                                                          ClusterEnd& end);
  Result<std::optional<KeeperReport>, ClusterFailure> ask_and_wait(const KeeperRequest& request,
                                                                   const ClusterWait& wait, ClusterEnd& end);
  Result<std::optional<KeeperReport>, ClusterFailure> next(std::optional<Deadline> deadline, int stop);
  Result<void> connect();
  [[nodiscard]] ClusterPlace place(const ClusterWait& wait) const;
  Result<ClusterEnd, ClusterFailure> ask_whether_free(const KeeperRequest& request, const ClusterWait& wait);
  std::optional<KeeperReport> cancel();
  std::optional<KeeperReport> stop_during(const KeeperRequest& request);
  void ask_to_adopt();
  bool replace_keeper();
  void report_start();
  bool adopt();

  ClusterSettings settings_;
  std::optional<KeeperConnection> connection_;
  std::vector<HeldKey> keys_;
  std::string id_;
  std::string lease_;
  std::string caveat_;
  std::chrono::milliseconds ttl_{0};
  pid_t command_ = 0;
  bool has_ended_ = false;  // the keeper, and there is no other one yet
  Deadline adopted_at_;
};

}  // namespace grex::core
