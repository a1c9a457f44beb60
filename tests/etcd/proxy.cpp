#include "etcd/proxy.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <list>
#include <stdexcept>
#include <vector>

#include "etcd/etcd_server.hpp"
#include "support/process.hpp"

namespace grex::test {
namespace {

struct Connection {
  Fd client;
  Fd server;
  std::string request;
};

// False at the end, or if what came may not be passed on: then the connection ends.
bool pass(const Fd& from, const Fd& to, const std::function<bool(std::string&)>& filter) {
  std::array<char, 65536> piece{};
  const ssize_t n = ::read(from.get(), piece.data(), piece.size());
  if (n <= 0) return false;
  std::string text(piece.data(), static_cast<std::size_t>(n));
  if (!filter(text)) return false;
  write_all(to.get(), text);
  return true;
}

}  // namespace

Proxy::Proxy(int server_port, Filter filter)
    : server_port_(server_port), filter_(std::move(filter)), port_(free_port()), listener_(listen_on(port_)) {
  std::array<int, 2> stop{};
  if (::pipe2(stop.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  stop_read_.reset(stop[0]);
  stop_write_.reset(stop[1]);
  thread_ = std::thread([this] { run(); });
}

Proxy::~Proxy() {
  stop_write_.reset();
  thread_.join();
}

void Proxy::run() {
  std::list<Connection> connections;
  for (;;) {
    std::vector<pollfd> fds = {{stop_read_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const Connection& each : connections) {
      fds.push_back({each.client.get(), POLLIN, 0});
      fds.push_back({each.server.get(), POLLIN, 0});
    }
    ::poll(fds.data(), fds.size(), -1);
    if (fds[0].revents != 0) return;
    std::size_t at = 2;
    for (auto each = connections.begin(); each != connections.end(); at += 2) {
      bool is_open = true;
      if (fds[at].revents != 0) {
        is_open = pass(each->client, each->server, [&](std::string& text) {
          each->request = text;
          return true;
        });
      }
      if (is_open && fds[at + 1].revents != 0) {
        is_open = pass(each->server, each->client, [&](std::string& text) { return filter_(each->request, text); });
      }
      each = is_open ? std::next(each) : connections.erase(each);
    }
    if (fds[1].revents == 0) continue;
    Connection connection;
    connection.client.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    connection.server = connect_to(server_port_);
    connections.push_back(std::move(connection));
  }
}

}  // namespace grex::test
