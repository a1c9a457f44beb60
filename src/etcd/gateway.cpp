#include "etcd/gateway.hpp"

#include <algorithm>
#include <utility>

#include "base/boot_clock.hpp"
#include "base/text.hpp"
#include "etcd/due.hpp"
#include "etcd/failure.hpp"

namespace grex::etcd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t before_retry = in_ns(milliseconds(200));
constexpr milliseconds authentication_timeout = seconds(2);
constexpr int most_tokens = 3;
constexpr int failed_precondition = 9;  // of gRPC: authentication is not enabled

// The host of a URL without a path, and without the port if that is etcd's own.
std::string host_of(std::string_view endpoint) {
  constexpr std::string_view own_port = ":2379";
  const auto scheme = endpoint.find("://");
  if (scheme != std::string_view::npos) endpoint.remove_prefix(scheme + 3);
  if (endpoint.ends_with(own_port)) endpoint.remove_suffix(own_port.size());
  return std::string(endpoint);
}

}  // namespace

core::FailedReport failure_of(const GatewayAnswer& answer) {
  if (answer.failure) return *answer.failure;
  const std::string why = answer.error ? answer.error->message : "a server's answer is not that of etcd";
  return {core::ClusterFault::cluster_config, {}, why, {}};
}

// One request, with its attempts.
class Gateway::Call : public GatewayCall {
 public:
  Call(Gateway& gateway, GatewayRequest request, Done done)
      : gateway_(gateway), request_(std::move(request)), done_(std::move(done)), start_at_(boot_clock_now()) {
    gateway_.calls_.insert(this);
  }
  ~Call() override { gateway_.calls_.erase(this); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  [[nodiscard]] std::optional<std::uint64_t> due() const { return start_at_; }

  void attempt() {
    start_at_ = std::nullopt;
    endpoint_ = gateway_.current_;
    const bool must_authenticate = gateway_.needs_token_ && gateway_.token_.empty();
    HttpRequest http;
    http.headers = gateway_.headers();
    http.timeout = must_authenticate ? authentication_timeout : request_.timeout;
    const std::string& endpoint = gateway_.endpoints_[endpoint_];
    http.url = endpoint + (must_authenticate ? "/v3/auth/authenticate" : request_.path);
    const Credentials& credentials = gateway_.credentials_;
    http.body = must_authenticate ? authenticate_body(credentials.user, credentials.password) : request_.body;
    http.tls = tls_;
    sent_at_ = boot_clock_now();
    transfer_ = gateway_.http_.start(std::move(http), [this, must_authenticate](const HttpAnswer& answer) {
      tls_ = answer.fault == HttpFault::reset ? TlsVersions::up_to_1_2 : TlsVersions::all;
      must_authenticate ? take_token(answer) : take(answer);
    });
  }

 private:
  void take_token(const HttpAnswer& answer) {
    const Judgement judgement = judge(answer, gateway_.credentials_);
    const bool is_not_enabled = judgement.verdict == Verdict::refused && judgement.error.code == failed_precondition;
    if (judgement.verdict == Verdict::good) gateway_.token_ = parse_token(answer.body).value_or("");
    if (is_not_enabled) gateway_.needs_token_ = false;
    if (is_not_enabled || !gateway_.token_.empty()) return retry_at(boot_clock_now());
    if (judgement.verdict == Verdict::try_elsewhere) return retry_elsewhere(judgement.failure);
    if (judgement.verdict == Verdict::failed) return fail(judgement.failure);
    fail({core::ClusterFault::permission, {}, judgement.error.message, {}});
  }

  void take(const HttpAnswer& answer) {
    const Judgement judgement = judge(answer, gateway_.credentials_);
    switch (judgement.verdict) {
      case Verdict::good:
      case Verdict::refused:
        return finish(answer, judgement);
      case Verdict::try_elsewhere:
        return retry_elsewhere(judgement.failure);
      case Verdict::new_token:
        gateway_.token_.clear();
        if (gateway_.needs_token_ && ++tokens_ < most_tokens) return retry_at(boot_clock_now());
        [[fallthrough]];
      case Verdict::failed:
        return fail(judgement.failure);
    }
  }

  void finish(const HttpAnswer& answer, const Judgement& judgement) {
    gateway_.troubles_.clear();
    gateway_.last_answer_ = boot_clock_now();
    GatewayAnswer result;
    result.body = answer.body;
    if (judgement.verdict == Verdict::refused) result.error = judgement.error;
    result.sent_at = sent_at_;
    end(std::move(result));
  }

  void retry_elsewhere(const core::FailedReport& failure) {
    gateway_.note(endpoint_, failure.why);
    if (!failure.hint.empty()) hint_ = failure.hint;
    gateway_.move_on(endpoint_);
    const std::uint64_t next = boot_clock_now() + before_retry;
    if (next < request_.give_up_at) return retry_at(next);
    fail({failure.kind, {}, {}, hint_});
  }

  void fail(core::FailedReport failure) {
    failure.endpoint = host_of(gateway_.endpoints_[endpoint_]);
    if (failure.kind == core::ClusterFault::unreachable) {
      failure.why = gateway_.trouble();
    } else {
      gateway_.note(endpoint_, failure.why);
    }
    GatewayAnswer result;
    result.failure = std::move(failure);
    end(std::move(result));
  }

  void retry_at(std::uint64_t when) { start_at_ = when; }

  // Destroys this, perhaps.
  void end(GatewayAnswer answer) {
    const Done done = std::move(done_);
    done(std::move(answer));
  }

  Gateway& gateway_;
  GatewayRequest request_;
  Done done_;
  std::optional<std::uint64_t> start_at_;  // of the next attempt
  std::uint64_t sent_at_ = 0;
  std::size_t endpoint_ = 0;
  int tokens_ = 0;
  TlsVersions tls_ = TlsVersions::all;
  std::string hint_;
  std::unique_ptr<HttpTransfer> transfer_;
};

Gateway::Gateway(Http& http, Credentials credentials, std::vector<std::string> endpoints, std::size_t first)
    : http_(http),
      credentials_(std::move(credentials)),
      endpoints_(std::move(endpoints)),
      current_(first % endpoints_.size()),
      needs_token_(!credentials_.user.empty()) {}

std::unique_ptr<GatewayCall> Gateway::call(GatewayRequest request, Done done) {
  return std::make_unique<Call>(*this, std::move(request), std::move(done));
}

namespace {

// Only keeps the transfer.
class StreamCall : public GatewayCall {
 public:
  explicit StreamCall(std::unique_ptr<HttpTransfer> transfer) : transfer_(std::move(transfer)) {}

 private:
  std::unique_ptr<HttpTransfer> transfer_;
};

}  // namespace

std::unique_ptr<GatewayCall> Gateway::stream(std::string path, std::string body, Http::Line on_line,
                                             std::function<void()> on_end) {
  HttpRequest request = {endpoints_[current_] + std::move(path), std::move(body), headers(), milliseconds(0)};
  auto transfer = http_.start(
      std::move(request), [on_end = std::move(on_end)](const HttpAnswer&) { on_end(); }, std::move(on_line));
  return std::make_unique<StreamCall>(std::move(transfer));
}

std::optional<std::uint64_t> Gateway::due() const {
  std::optional<std::uint64_t> first;
  for (const Call* const call : calls_) first = earlier(first, call->due());
  return first;
}

void Gateway::advance() {
  const std::uint64_t now = boot_clock_now();
  for (Call* const call : calls_) {
    if (is_due(call->due(), now)) call->attempt();
  }
}

std::string Gateway::trouble() const {
  std::string text;
  for (const auto& [endpoint, why] : troubles_) {
    if (!text.empty()) text += "; ";
    text += host_of(endpoints_[endpoint]) + ": " + why;
  }
  return text;
}

// Without a leader, a watch would wait forever, and other requests for seconds.
std::vector<std::string> Gateway::headers() const {
  std::vector<std::string> headers = {"Content-Type: application/json", "Expect:", "Grpc-Metadata-hasleader: true"};
  if (!token_.empty()) headers.push_back("Authorization: " + token_);
  return headers;
}

void Gateway::move_on(std::size_t from) {
  if (current_ == from) current_ = (from + 1) % endpoints_.size();
}

}  // namespace grex::etcd
