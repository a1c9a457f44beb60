#pragma once

#include <signal.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace grex::test {

/// Three nodes of a real etcd.
class EtcdCluster {
 public:
  /// Waits until all serve requests.
  EtcdCluster();

  [[nodiscard]] core::ClusterPlace place() const;

  /// As --cluster takes it.
  [[nodiscard]] std::string url() const;

  /// The number of the node that leads, which all that run agree on.
  [[nodiscard]] std::size_t leader() const;

  void kill(std::size_t node);
  /// Starts one that was killed again, with its data.
  void restart(std::size_t node) { start(node); }
  /// Waits until all serve requests.
  void until_healthy() const;
  void stop(std::size_t node) const { nodes_[node].process->signal(SIGSTOP); }
  void go_on(std::size_t node) const { nodes_[node].process->signal(SIGCONT); }

 private:
  struct Node {
    std::string endpoint;
    std::string peer;
    int port;
    std::unique_ptr<Process> process;
  };

  void start(std::size_t node);

  TempDir dir_;
  std::vector<Node> nodes_;
  std::string members_;
};

}  // namespace grex::test
