#include "etcd/http_fault.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

#include "base/text.hpp"

namespace grex::etcd {
namespace {

// The alerts of TLS by which a server refuses a client's certificate (RFC 8446, 6.2), as OpenSSL
// names them. They may come with the first read after the handshake.
constexpr std::array<std::string_view, 6> refusals = {"alert bad certificate",     "alert certificate required",
                                                      "alert certificate expired", "alert certificate unknown",
                                                      "alert unknown ca",          "alert access denied"};

bool is_refusal(std::string_view text) {
  return std::any_of(refusals.begin(), refusals.end(), [text](std::string_view part) { return has_part(text, part); });
}

std::string error_text(int err) {
  std::string text = std::strerror(err);
  if (!text.empty()) text.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(text.front())));
  return text;
}

}  // namespace

HttpFault fault_of(CURLcode code, std::string_view text) {
  switch (code) {
    case CURLE_OK:
      return HttpFault::none;
    case CURLE_PEER_FAILED_VERIFICATION:
      return HttpFault::server_certificate;
    case CURLE_SSL_CACERT_BADFILE:
      return HttpFault::ca_file;
    case CURLE_SSL_CERTPROBLEM:
      return has_part(text, "private key") ? HttpFault::key_file : HttpFault::certificate_file;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
      return is_refusal(text) ? HttpFault::own_certificate : HttpFault::reset;
    case CURLE_GOT_NOTHING:
      return HttpFault::closed;
    default:
      break;
  }
  if (is_refusal(text)) return HttpFault::own_certificate;
  if (code != CURLE_SSL_CONNECT_ERROR) return HttpFault::connection;
  return has_part(text, "wrong version number") ? HttpFault::not_tls : HttpFault::handshake;
}

std::string explanation_of(CURLcode code, std::string_view text, int err) {
  switch (fault_of(code, text)) {
    case HttpFault::own_certificate:
      return "client certificate refused";
    case HttpFault::not_tls:
      return "the server does not speak TLS";
    case HttpFault::handshake:
      return "TLS handshake failed";
    case HttpFault::closed:
      return "connection closed";
    case HttpFault::server_certificate: {
      constexpr std::string_view introduction = "SSL certificate problem: ";
      const auto at = text.find(introduction);
      if (at != std::string_view::npos) text.remove_prefix(at + introduction.size());
      return "server certificate not valid: " + std::string(text);
    }
    default:
      break;
  }
  if (code == CURLE_OPERATION_TIMEDOUT) return "no answer";
  if (code == CURLE_COULDNT_RESOLVE_HOST) return "unknown host";
  if (code == CURLE_COULDNT_CONNECT && err != 0) return error_text(err);
  return text.empty() ? ::curl_easy_strerror(code) : std::string(text);
}

}  // namespace grex::etcd
