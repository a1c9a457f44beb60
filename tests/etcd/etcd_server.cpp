#include "etcd/etcd_server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <stdexcept>

namespace grex::test {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

int free_port() {
  static std::vector<Fd> kept;  // until the test ends
  const int on = 1;
  for (int tries = 0; tries < 1000; ++tries) {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
      continue;
    }
    kept.push_back(std::move(fd));
    return ntohs(address.sin_port);
  }
  throw std::runtime_error("no free port");
}

Fd listen_on(int port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  constexpr int backlog = 64;
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), backlog) != 0) {
    throw std::runtime_error("can't listen");
  }
  return fd;
}

Fd connect_to(int port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("can't connect");
  }
  return fd;
}

std::string http_get(int port, const std::string& path) {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit = {1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  const sockaddr_in address = loopback(port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return {};
  write_all(fd.get(), "GET " + path + " HTTP/1.0\r\n\r\n");
  std::string answer;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = ::read(fd.get(), piece.data(), piece.size())) > 0;) {
    answer.append(piece.data(), static_cast<std::size_t>(n));
  }
  return answer;
}

EtcdServer::EtcdServer(const Words& options, const std::string& scheme)
    : port_(free_port()), peer_port_(free_port()), health_port_(free_port()), scheme_(scheme), options_(options) {
  start();
}

core::ClusterPlace EtcdServer::place() const { return {{endpoint()}, "ci", std::chrono::seconds(10)}; }

void EtcdServer::start() {
  const std::string peer = "http://127.0.0.1:" + std::to_string(peer_port_);
  Words words = {"etcd",        "--name",
                 "t",           "--data-dir",
                 dir_ / "data", "--listen-client-urls",
                 endpoint(),    "--advertise-client-urls",
                 endpoint(),    "--listen-peer-urls",
                 peer,          "--initial-advertise-peer-urls",
                 peer,          "--initial-cluster",
                 "t=" + peer,   "--unsafe-no-fsync",
                 "--log-level", "error"};
  words.insert(words.end(), {"--listen-metrics-urls", "http://127.0.0.1:" + std::to_string(health_port_)});
  words.insert(words.end(), options_.begin(), options_.end());
  const std::string log = dir_ / "log";
  process_ = std::make_unique<Process>(words, Setup{.before_exec = [log] {
                                         ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // if a time limit ends the test
                                         const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
                                         ::dup2(fd, 1);
                                         ::dup2(fd, 2);
                                       }});
  until([this] { return http_get(health_port_, "/health").find("\"true\"") != std::string::npos; });
}

void EtcdServer::restart() {
  process_->signal(SIGKILL);
  process_->wait();
  start();
}

std::string EtcdServer::ctl(const Words& words) const {
  Words argv = {"etcdctl", "--endpoints", endpoint()};
  argv.insert(argv.end(), words.begin(), words.end());
  const Finished finished = finish(argv, {.environment = {{"ETCDCTL_API", "3"}}});
  if (finished.ended != exited(0)) throw std::runtime_error("etcdctl: " + finished.err);
  return finished.out;
}

std::vector<std::string> EtcdServer::keys() const {
  std::istringstream lines(ctl({"get", "--prefix", "--keys-only", "/grex-lock/"}));
  std::vector<std::string> keys;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) keys.push_back(line);
  }
  return keys;
}

void reap_keepers() {
  for (const pid_t pid : children_of(::getpid())) {
    if (content_of("/proc/" + std::to_string(pid) + "/comm") == "grex-lock-etcd\n") ::waitpid(pid, nullptr, 0);
  }
}

void require_users(const EtcdServer& server, const Words& access) {
  for (const Words& words :
       std::vector<Words>{{"user", "add", "root:secret"},
                          {"user", "grant-role", "root", "root"},
                          {"role", "add", "locks"},
                          {"role", "grant-permission", "--prefix", "locks", "readwrite", "/grex-lock/ci/"},
                          {"user", "add", "ci:hush"},
                          {"user", "grant-role", "ci", "locks"},
                          {"auth", "enable"}}) {
    Words all = access;
    all.insert(all.end(), words.begin(), words.end());
    (void)server.ctl(all);
  }
}

Setup as_etcd_user(const std::string& user, const std::string& password) {
  return {.environment = {{"ETCDCTL_USER", user}, {"ETCDCTL_PASSWORD", password}}};
}

}  // namespace grex::test
