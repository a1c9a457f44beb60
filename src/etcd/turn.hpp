#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/due.hpp"
#include "etcd/gateway.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {

/// What happens to a process in the queue of a lock.
struct TurnEvents {
  /// It must wait. Called again when the queue has changed.
  std::function<void(core::WaitingReport report)> waiting;
  /// Nothing that the lock must wait for is ahead.
  std::function<void()> arrived;
  std::function<void(core::FailedReport failure)> failed;
};

/// How long no server may answer.
struct Patience {
  std::chrono::nanoseconds at_first{0};
  std::chrono::nanoseconds while_waiting{0};
};

/// Waits until no key that is older than a revision keeps a lock from being taken. The next one
/// ahead is watched, so that a release wakes one waiter; as watches can lose events, look() must
/// be called from time to time.
class Turn {
 public:
  /// `gateway` is borrowed. `before` is the revision; 0: that of the first look, plus 1.
  Turn(Gateway& gateway, std::string_view ns, const core::ClusterLock& lock, std::uint64_t before, Patience patience,
       TurnEvents events);

  /// Looks at the queue again, unless that is being done.
  void look();

  /// Whether it had to wait.
  [[nodiscard]] bool has_waited() const { return has_waited_; }

  [[nodiscard]] Due due() const { return look_at_; }
  void advance(std::uint64_t now);

 private:
  void take_ahead(const GatewayAnswer& answer);
  void watch(const std::string& key, std::uint64_t revision);
  void take_line(std::string_view line);
  void report_queue();
  void take_queue(const GatewayAnswer& answer);
  void take_count(const GatewayAnswer& answer);
  void report(std::uint64_t ahead);
  [[nodiscard]] RangeSpec ahead() const;
  [[nodiscard]] std::uint64_t give_up_at() const;

  Gateway& gateway_;
  core::ClusterLock lock_;
  std::string prefix_;
  std::uint64_t before_;
  Patience patience_;
  TurnEvents events_;
  bool has_waited_ = false;
  Due look_at_;
  std::string watched_;   // the key that is watched; empty: none
  std::string reported_;  // what is ahead in the last report
  std::unique_ptr<GatewayCall> looking_;
  std::unique_ptr<GatewayCall> watching_;
  std::unique_ptr<GatewayCall> reporting_;
  core::WaitingReport report_;
  std::vector<sys::Mode> modes_;  // of the first keys ahead
};

/// How many keys at the front of a queue hold the lock together: one that is exclusive, all
/// sharers before the first one that is, or as many as there are slots.
std::size_t count_holders(const std::vector<sys::Mode>& queue, unsigned slots);

}  // namespace grex::etcd
