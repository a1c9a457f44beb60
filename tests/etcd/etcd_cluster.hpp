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

  /// The number of the node that leads, which all that run agree on.
  [[nodiscard]] std::size_t leader() const;

  void kill(std::size_t node);
  void stop(std::size_t node) const { nodes_[node].process->signal(SIGSTOP); }
  void go_on(std::size_t node) const { nodes_[node].process->signal(SIGCONT); }

 private:
  struct Node {
    std::string endpoint;
    std::string peer;
    int port;
    std::unique_ptr<Process> process;
  };

  TempDir dir_;
  std::vector<Node> nodes_;
};

}  // namespace grex::test
