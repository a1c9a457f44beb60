#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "core/cluster/keeper_protocol.hpp"
#include "sys/process/line_socket.hpp"
#include "sys/process/shared_deadline.hpp"

namespace grex::core {

/// The keeper's process, and what it shares with this one: see keeper_protocol.hpp.
class KeeperConnection {
 public:
  /// Starts the keeper. Errors: those of find_keeper_program, exec, system.
  static Result<KeeperConnection> start();

  /// Starts another keeper after this one has ended, or doesn't keep to the protocol. It gets the
  /// same liveness pipe and lease deadline. Errors: as start().
  Result<void> restart();

  /// Sends a request, with a descriptor unless that is -1. If the keeper has ended, the next news
  /// say so.
  void send(const KeeperRequest& request, int descriptor = -1);

  /// The next report that has arrived. `closed`: the keeper has ended; `invalid`: it has sent what
  /// is no report, or speaks another protocol. It must be restarted then.
  enum class News { none, report, closed, invalid };
  News receive(KeeperReport& report);

  /// Waits until there may be news, or `stop` is readable, or the deadline has passed.
  void wait(int stop, std::optional<Deadline> deadline) const;

  /// From now on, SIGIO announces news.
  void announce_news() const;

  /// The write end of the liveness pipe; borrowed.
  [[nodiscard]] int liveness() const { return liveness_write_.get(); }
  [[nodiscard]] pid_t keeper() const { return keeper_; }

  /// Those of this connection, borrowed.
  [[nodiscard]] std::vector<int> descriptors() const;

  /// When the lease ends: CLOCK_BOOTTIME, in nanoseconds; 0 before it began.
  [[nodiscard]] std::uint64_t lease_end() const { return deadline_.load(); }
  [[nodiscard]] const sys::SharedDeadline& shared_lease_end() const { return deadline_; }

 private:
  KeeperConnection(std::vector<std::string> environment, UniqueFd liveness_read, UniqueFd liveness_write,
                   sys::SharedDeadline deadline)
      : environment_(std::move(environment)),
        liveness_read_(std::move(liveness_read)),
        liveness_write_(std::move(liveness_write)),
        deadline_(std::move(deadline)) {}

  void end_keeper();

  std::vector<std::string> environment_;  // of the keepers
  UniqueFd liveness_read_;                // for another keeper
  UniqueFd liveness_write_;
  sys::SharedDeadline deadline_;
  std::optional<sys::LineSocket> socket_;  // there is one
  std::deque<std::string> received_;
  bool has_ended_ = false;
  pid_t keeper_ = 0;
  UniqueFd process_;  // its pidfd
};

}  // namespace grex::core
