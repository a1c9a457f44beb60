#include "etcd/failure.hpp"

#include <utility>

#include "base/text.hpp"
#include "base/time_text.hpp"

namespace grex::etcd {
namespace {

using core::ClusterFault;

// Codes of gRPC.
constexpr int invalid_argument = 3;
constexpr int deadline_exceeded = 4;
constexpr int permission_denied = 7;
constexpr int resource_exhausted = 8;
constexpr int unavailable = 14;
constexpr int unauthenticated = 16;

constexpr std::string_view certificate_hint =
    "none given, or expired, or signed by another CA: ETCDCTL_CERT=FILE ETCDCTL_KEY=FILE";
constexpr std::string_view ca_hint = "the CA of the cluster: ETCDCTL_CACERT=FILE";
constexpr std::string_view common_name_hint =
    "etcd's gateway takes no user from a certificate: use one without a common name, and ETCDCTL_USER";

Judgement failed(ClusterFault kind, std::string why, std::string_view hint = {}) {
  return {Verdict::failed, {}, {kind, {}, std::move(why), std::string(hint)}};
}

Judgement elsewhere(std::string why, std::string hint = {}) {
  return {Verdict::try_elsewhere, {}, {ClusterFault::unreachable, {}, std::move(why), std::move(hint)}};
}

// libcurl names the file, but not the variable.
Judgement judge_file(const HttpAnswer& answer, const Credentials& credentials) {
  if (answer.fault == HttpFault::ca_file) {
    if (credentials.ca.empty()) return failed(ClusterFault::cluster_config, answer.why, ca_hint);
    return failed(ClusterFault::cluster_config, "ETCDCTL_CACERT: " + credentials.ca + ": no certificate in PEM format",
                  ca_hint);
  }
  if (answer.fault == HttpFault::certificate_file) {
    const bool is_garbled = has_part(answer.why, "PEM routines");
    return failed(
        ClusterFault::cluster_config,
        "ETCDCTL_CERT: " + (is_garbled ? credentials.certificate + ": no certificate in PEM format" : answer.why));
  }
  if (credentials.key.empty()) {
    return failed(ClusterFault::cluster_config, "ETCDCTL_CERT is set without ETCDCTL_KEY",
                  "the private key of the certificate: ETCDCTL_KEY=FILE");
  }
  return failed(ClusterFault::cluster_config,
                "ETCDCTL_KEY: " + credentials.key + ": not the private key of ETCDCTL_CERT",
                "the key must be in PEM format, without a passphrase");
}

Judgement judge_transport(const HttpAnswer& answer, const Credentials& credentials) {
  switch (answer.fault) {
    case HttpFault::own_certificate:
      return failed(ClusterFault::permission, answer.why, certificate_hint);
    case HttpFault::ca_file:
    case HttpFault::certificate_file:
    case HttpFault::key_file:
      return judge_file(answer, credentials);
    case HttpFault::not_tls:
      return failed(ClusterFault::cluster_config, answer.why, "without TLS: etcd://HOST/NAMESPACE");
    case HttpFault::handshake:
      return elsewhere(answer.why, "if it has no TLS: etcd://HOST/NAMESPACE");
    case HttpFault::closed:
      return elsewhere(answer.why, "if it requires TLS: etcds://HOST/NAMESPACE");
    case HttpFault::server_certificate:
      if (has_part(answer.why, "not yet valid")) {
        return elsewhere(answer.why, "or this machine's clock is wrong: " + format_utc(utc_now()));
      }
      return elsewhere(answer.why,
                       has_part(answer.why, "issuer") || has_part(answer.why, "self") ? std::string(ca_hint) : "");
    default:
      return elsewhere(answer.why);
  }
}

Judgement judge_error(const GatewayError& error, const Credentials& credentials) {
  const std::string& message = error.message;
  switch (error.code) {
    case deadline_exceeded:
    case resource_exhausted:
    case unavailable:
      return elsewhere(message);
    case permission_denied:
      return failed(ClusterFault::permission, message,
                    "the user's role must read and write below /grex-lock/ and the namespace");
    case unauthenticated:
      return {Verdict::new_token, error, {ClusterFault::permission, {}, message, {}}};
    case invalid_argument:
      break;
    default:
      return {Verdict::refused, error, {}};
  }
  if (has_part(message, "revision in auth store is old") || has_part(message, "auth revision")) {
    return {Verdict::new_token, error, {ClusterFault::permission, {}, message, {}}};
  }
  if (has_part(message, "authentication failed")) {
    return failed(ClusterFault::permission, "wrong user or password", "ETCDCTL_USER=NAME ETCDCTL_PASSWORD=PASSWORD");
  }
  if (has_part(message, "user name is empty")) {
    const bool has_certificate = !credentials.certificate.empty();
    return failed(ClusterFault::permission, "the cluster requires a user",
                  has_certificate ? common_name_hint : "ETCDCTL_USER=NAME ETCDCTL_PASSWORD=PASSWORD");
  }
  return {Verdict::refused, error, {}};
}

}  // namespace

std::optional<core::FailedReport> credentials_failure(const Credentials& credentials) {
  if (!credentials.key.empty() && credentials.certificate.empty()) {
    return core::FailedReport{ClusterFault::cluster_config,
                              {},
                              "ETCDCTL_KEY is set without ETCDCTL_CERT",
                              "the certificate of the key: ETCDCTL_CERT=FILE"};
  }
  std::string unreadable = unreadable_file(credentials);
  if (unreadable.empty()) return std::nullopt;
  return core::FailedReport{ClusterFault::cluster_config, {}, std::move(unreadable), {}};
}

Judgement judge(const HttpAnswer& answer, const Credentials& credentials) {
  constexpr long ok = 200;
  constexpr long bad_request = 400;
  constexpr long not_found = 404;
  constexpr long server_error = 500;
  if (answer.fault != HttpFault::none) return judge_transport(answer, credentials);
  if (answer.status == ok) return {};
  if (const auto error = parse_error(answer.body)) return judge_error(*error, credentials);
  if (answer.status == not_found) {
    return failed(ClusterFault::cluster_config, "no /v3 gateway", "etcd must run with --enable-grpc-gateway");
  }
  if (answer.status == bad_request && has_part(answer.body, "HTTPS server")) {
    return failed(ClusterFault::cluster_config, "the server requires TLS", "with TLS: etcds://HOST/NAMESPACE");
  }
  if (answer.status == bad_request && has_part(answer.body, "CommonName")) {
    return failed(ClusterFault::permission, "the cluster requires a user", common_name_hint);
  }
  const std::string why = "HTTP status " + std::to_string(answer.status);
  return answer.status >= server_error ? elsewhere(why) : failed(ClusterFault::cluster_config, why);
}

}  // namespace grex::etcd
