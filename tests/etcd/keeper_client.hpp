#pragma once

#include <signal.h>
#include <sys/types.h>

#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/unique_fd.hpp"
#include "core/cluster/keeper_protocol.hpp"
#include "support/process.hpp"
#include "sys/process/line_socket.hpp"
#include "sys/process/shared_deadline.hpp"

namespace grex::test {

/// The other end of a keeper's socket. The keeper itself is a child of a process that stands
/// for grex-lock, so that it can be killed.
class KeeperClient {
 public:
  explicit KeeperClient(const std::string& program, const Setup& setup = {});
  /// With the deadline of another keeper, which has ended.
  KeeperClient(const std::string& program, const Setup& setup, const KeeperClient& before);
  ~KeeperClient();
  KeeperClient(const KeeperClient&) = delete;
  KeeperClient& operator=(const KeeperClient&) = delete;

  void send(const core::KeeperRequest& request);

  /// The next report; throws if it is no report, or the keeper is gone.
  core::KeeperReport next();

  /// The same, but nullopt if none has come by now.
  std::optional<core::KeeperReport> next_by_now();

  /// The next report, which must be of this kind; throws if it is another one.
  template <class Report>
  Report expect() {
    const core::KeeperReport report = next();
    const auto* const expected = std::get_if<Report>(&report);
    if (expected == nullptr) throw std::runtime_error("another report: " + core::to_line(report));
    return *expected;
  }

  /// Runs a script as the command, and says so to the keeper. The command is alive when this
  /// returns, or was: a script that must have begun must show it.
  pid_t run(const std::string& script);

  /// As a SIGKILL to grex-lock.
  void kill_caller();

  /// As a SIGSTOP to grex-lock.
  void stop_caller() { caller_->signal(SIGSTOP); }

  /// Waits until the keeper has ended. After kill_caller(), or close().
  void wait_for_keeper();

  /// Closes the socket.
  void close() { socket_.reset(); }

  [[nodiscard]] pid_t keeper() const { return keeper_; }
  [[nodiscard]] std::uint64_t deadline() const { return deadline_.load(); }

 private:
  KeeperClient(const std::string& program, const Setup& setup, sys::SharedDeadline deadline);
  void start(const Setup& setup, int pipe_read, int pipe_write);
  void read_more(int milliseconds);

  std::string program_;
  sys::SharedDeadline deadline_;
  std::optional<sys::LineSocket> socket_;
  std::unique_ptr<Process> caller_;
  std::deque<std::string> lines_;
  bool has_ended_ = false;
  pid_t keeper_ = 0;
  std::deque<pid_t> commands_;
};

}  // namespace grex::test
