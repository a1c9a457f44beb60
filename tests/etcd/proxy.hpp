#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "support/fd.hpp"

namespace grex::test {

/// A TCP proxy before a server, in a thread of the test. What comes from the server can be
/// dropped.
class Proxy {
 public:
  /// Called with what a client has sent last on this connection, and with what the server
  /// answers, which it may change; returns false to end the connection instead of passing that
  /// on. In the thread of the proxy.
  using Filter = std::function<bool(const std::string& request, std::string& answer)>;

  Proxy(int server_port, Filter filter);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  void run();

  int server_port_;
  Filter filter_;
  int port_ = 0;
  Fd listener_;
  Fd stop_read_;
  Fd stop_write_;
  std::thread thread_;
};

}  // namespace grex::test
