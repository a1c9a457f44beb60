#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/cluster/keeper_protocol.hpp"
#include "etcd/credentials.hpp"
#include "etcd/http.hpp"
#include "etcd/messages.hpp"

namespace grex::etcd {

/// How long an attempt may take, unless it waits for something.
inline constexpr std::chrono::milliseconds request_timeout(2000);

/// The code of gRPC by which a server refuses what is gone, such as a lease.
inline constexpr int grpc_not_found = 5;

/// A request to whichever server answers.
struct GatewayRequest {
  std::string path;                      ///< "/v3/kv/range"
  std::string body;                      ///< empty: a GET
  std::chrono::milliseconds timeout{0};  ///< of one attempt
  std::uint64_t give_up_at = 0;          ///< no new attempt after that, in nanoseconds of CLOCK_BOOTTIME
};

/// An answer of a server, or a failure.
struct GatewayAnswer {
  std::string body;                           ///< if neither of the following is there
  std::optional<GatewayError> error;          ///< the server refused; not one that is tried again
  std::optional<core::FailedReport> failure;  ///< no server gave an answer of use
  std::uint64_t sent_at = 0;                  ///< the attempt that was answered, in nanoseconds of CLOCK_BOOTTIME
};

/// The failure of an answer that its caller can't use: a refusal, or no answer of etcd.
core::FailedReport failure_of(const GatewayAnswer& answer);

/// A request that was begun. Destroying it ends it, and its functions are not called any more.
class GatewayCall {
 public:
  GatewayCall() = default;
  GatewayCall(const GatewayCall&) = delete;
  GatewayCall& operator=(const GatewayCall&) = delete;
  virtual ~GatewayCall() = default;
};

/// The JSON gateways of a cluster's servers. A request that one server does not answer goes to
/// the next one, until it is answered or its time is over; a token is fetched if there is a user,
/// and again if it is not accepted any more. Calls no function but from advance().
class Gateway {
 public:
  using Done = std::function<void(GatewayAnswer answer)>;

  /// `http` is borrowed. `first` chooses the server that is asked first.
  Gateway(Http& http, Credentials credentials, std::vector<std::string> endpoints, std::size_t first);
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;
  ~Gateway() = default;

  /// `done` is called once.
  std::unique_ptr<GatewayCall> call(GatewayRequest request, Done done);

  /// A stream from one server. `on_line` gets each line; `on_end` is called once, after an error
  /// as well; there is no other attempt.
  std::unique_ptr<GatewayCall> stream(std::string path, std::string body, Http::Line on_line,
                                      std::function<void()> on_end);

  [[nodiscard]] std::optional<std::uint64_t> due() const;
  void advance();

  /// When a server last gave an answer of use; 0: never.
  [[nodiscard]] std::uint64_t last_answer() const { return last_answer_; }

  /// What the servers said in the last attempts, for people: "h1: connection refused; h2: no leader".
  [[nodiscard]] std::string trouble() const;

 private:
  class Call;
  enum class Next { done, retry_here, retry_elsewhere };

  [[nodiscard]] std::vector<std::string> headers() const;
  void move_on(std::size_t from);
  void note(std::size_t endpoint, std::string why) { troubles_[endpoint] = std::move(why); }

  Http& http_;
  Credentials credentials_;
  std::vector<std::string> endpoints_;
  std::size_t current_;
  std::string token_;
  bool needs_token_;
  std::uint64_t last_answer_ = 0;
  std::map<std::size_t, std::string> troubles_;  // by endpoint; what went wrong since its last good answer
  std::set<Call*> calls_;
};

}  // namespace grex::etcd
