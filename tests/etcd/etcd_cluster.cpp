#include "etcd/etcd_cluster.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <stdexcept>

#include "etcd/etcd_server.hpp"

namespace grex::test {
namespace {

constexpr std::size_t node_count = 3;

std::string url_of(int port) { return "http://127.0.0.1:" + std::to_string(port); }

}  // namespace

EtcdCluster::EtcdCluster() {
  for (std::size_t i = 0; i < node_count; ++i) {
    const int port = free_port();
    nodes_.push_back({url_of(port), url_of(free_port()), port, nullptr});
    members_ += (i > 0 ? ",n" : "n") + std::to_string(i) + '=' + nodes_.back().peer;
  }
  for (std::size_t i = 0; i < node_count; ++i) start(i);
  until_healthy();
}

void EtcdCluster::start(std::size_t number) {
  Node& node = nodes_[number];
  const std::string name = "n" + std::to_string(number);
  const std::string log = dir_ / (name + ".log");
  const Words words = {"etcd",        "--name",
                       name,          "--data-dir",
                       dir_ / name,   "--listen-client-urls",
                       node.endpoint, "--advertise-client-urls",
                       node.endpoint, "--listen-peer-urls",
                       node.peer,     "--initial-advertise-peer-urls",
                       node.peer,     "--initial-cluster",
                       members_,      "--unsafe-no-fsync",
                       "--log-level", "error"};
  node.process = std::make_unique<Process>(words, Setup{.before_exec = [log] {
                                             ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // if a time limit ends the test
                                             const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
                                             ::dup2(fd, 1);
                                             ::dup2(fd, 2);
                                           }});
}

void EtcdCluster::until_healthy() const {
  for (const Node& node : nodes_) {
    until([&node] { return http_get(node.port, "/health").find("\"true\"") != std::string::npos; });
  }
}

std::string EtcdCluster::url() const {
  std::string hosts;
  for (const Node& node : nodes_) hosts += (hosts.empty() ? "" : ",") + ("127.0.0.1:" + std::to_string(node.port));
  return "etcd://" + hosts + "/ci";
}

core::ClusterPlace EtcdCluster::place() const {
  core::ClusterPlace place = {{}, "ci", std::chrono::seconds(10)};
  for (const Node& node : nodes_) place.endpoints.push_back(node.endpoint);
  return place;
}

std::size_t EtcdCluster::leader() const {
  for (std::size_t i = 0; i < node_count; ++i) {
    const Finished status = finish({"etcdctl", "--endpoints", nodes_[i].endpoint, "endpoint", "status", "-w", "fields"},
                                   {.environment = {{"ETCDCTL_API", "3"}}});
    const auto number_after = [&](const char* label) {
      const auto at = status.out.find(label);
      return at == std::string::npos ? 0 : std::stoull(status.out.substr(status.out.find(':', at) + 1));
    };
    if (const auto member = number_after("\"MemberID\""); member != 0 && member == number_after("\"Leader\"")) return i;
  }
  throw std::runtime_error("no leader");
}

void EtcdCluster::kill(std::size_t node) {
  nodes_[node].process->signal(SIGKILL);
  nodes_[node].process->wait();
}

}  // namespace grex::test
