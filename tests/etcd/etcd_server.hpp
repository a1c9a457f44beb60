#pragma once

#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "support/fd.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace grex::test {

/// A port of the loopback interface for a server, which must set SO_REUSEADDR, as etcd does. A
/// socket of this process keeps it from all others.
int free_port();

/// Sockets of the loopback interface; throw if that fails.
Fd listen_on(int port);
Fd connect_to(int port);

/// A GET over plain HTTP; empty if there is no answer.
std::string http_get(int port, const std::string& path);

/// One node of a real etcd, with its data in a directory of the test.
class EtcdServer {
 public:
  /// Waits until it serves requests. `options` are more of etcd's. `scheme` is "https" if it must
  /// have TLS; then ctl() needs options for it.
  explicit EtcdServer(const Words& options = {}, const std::string& scheme = "http");

  [[nodiscard]] std::string endpoint() const { return scheme_ + "://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] core::ClusterPlace place() const;

  void stop() const { process_->signal(SIGSTOP); }
  void go_on() const { process_->signal(SIGCONT); }

  /// Kills it, and starts it again with the same data.
  void restart();

  /// The output of etcdctl, which must succeed.
  [[nodiscard]] std::string ctl(const Words& words) const;

  /// The keys of all locks.
  [[nodiscard]] std::vector<std::string> keys() const;

 private:
  void start();

  TempDir dir_;
  int port_;
  int peer_port_;
  int health_port_;
  std::string scheme_;
  Words options_;
  std::unique_ptr<Process> process_;
};

/// Waits until the keepers that have become our children have ended.
void reap_keepers();

/// Has the server refuse those who are no user of it: it knows `root`, and `ci` with the password
/// `hush`, who may write the locks of the namespace ci. `access` are etcdctl's options for its TLS.
void require_users(const EtcdServer& server, const Words& access = {});

/// The environment of a client.
Setup as_etcd_user(const std::string& user, const std::string& password);

}  // namespace grex::test
