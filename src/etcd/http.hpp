#pragma once

#include <poll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etcd/credentials.hpp"

namespace grex::etcd {

/// Which versions of TLS may be used. With 1.3, a server that refuses our certificate says so after
/// the handshake, when our request may already have failed; with 1.2, within it.
enum class TlsVersions { all, up_to_1_2 };

/// One POST, or a GET if there is no body.
struct HttpRequest {
  std::string url;
  std::string body;
  std::vector<std::string> headers;      ///< "Name: value"
  std::chrono::milliseconds timeout{0};  ///< for all of it; 0: a stream, without a limit
  TlsVersions tls = TlsVersions::all;
};

/// How the transport failed, if it did.
enum class HttpFault {
  none,
  connection,          ///< refused, reset, no route, unknown host, no answer
  server_certificate,  ///< not valid
  own_certificate,     ///< refused by the server
  ca_file,             ///< the certificate of the CA can't be used
  certificate_file,    ///< the client's certificate can't be used
  key_file,            ///< its private key can't be used
  not_tls,             ///< the server speaks no TLS
  handshake,           ///< TLS could not be agreed on: perhaps it speaks none
  reset,               ///< the connection broke while it was used
  closed,              ///< without an answer: perhaps it requires TLS
};

struct HttpAnswer {
  HttpFault fault = HttpFault::none;
  std::string why;  ///< for people, if there is a fault
  long status = 0;
  std::string body;  ///< at most longest_answer bytes; of a stream, nothing
};

inline constexpr std::size_t longest_answer = 64UL * 1024 * 1024;

/// A transfer that has begun. Destroying it ends it, and its functions are not called any more.
class HttpTransfer {
 public:
  HttpTransfer() = default;
  HttpTransfer(const HttpTransfer&) = delete;
  HttpTransfer& operator=(const HttpTransfer&) = delete;
  virtual ~HttpTransfer() = default;
};

/// HTTP/1.1 to servers of the cluster: through no proxy, without redirections, and with TLS only
/// if the server's certificate is valid. Calls no function but from advance().
class Http {
 public:
  using Done = std::function<void(HttpAnswer answer)>;
  using Line = std::function<void(std::string_view line)>;

  explicit Http(const Credentials& credentials);
  Http(const Http&) = delete;
  Http& operator=(const Http&) = delete;
  ~Http();

  /// `done` is called once. With `line`, each line of the answer's body is passed to it. Must end
  /// before this is destroyed.
  std::unique_ptr<HttpTransfer> start(HttpRequest request, Done done, Line line = {});

  /// Waits until one of `others` is ready, or a transfer can go on.
  void wait(std::span<pollfd> others);

  void advance();

 private:
  struct Shared;
  class Transfer;
  std::unique_ptr<Shared> shared_;
};

}  // namespace grex::etcd
