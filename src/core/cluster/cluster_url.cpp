#include "core/cluster/cluster_url.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.hpp"

namespace grex::core {
namespace {

constexpr std::string_view tls_scheme = "etcds://";
constexpr std::string_view plain_scheme = "etcd://";
constexpr std::string_view own_port = ":2379";
constexpr std::size_t most_hosts = 64;
constexpr std::size_t longest_host = 253;  // RFC 1035, 2.3.4
constexpr std::size_t longest_namespace = 64;

constexpr std::string_view letters_and_digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool has_only(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [others](char c) {
    return letters_and_digits.find(c) != std::string_view::npos || others.find(c) != std::string_view::npos;
  });
}

bool is_address_in_brackets(std::string_view host) {
  constexpr std::string_view in_addresses = "0123456789abcdefABCDEF:.";
  if (host.size() < 4 || !host.starts_with('[') || !host.ends_with(']')) return false;
  const std::string_view address = host.substr(1, host.size() - 2);
  return address.find(':') != std::string_view::npos &&
         address.find_first_not_of(in_addresses) == std::string_view::npos;
}

// With the port.
Result<std::string, UrlFault> parse_host(std::string_view text) {
  const auto bracket = text.find(']');
  const auto colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = text.substr(0, colon);
  const bool is_name = !host.empty() && !host.starts_with('-') && has_only(host, ".-_");
  if (host.size() > longest_host || (!is_name && !is_address_in_brackets(host))) return UrlFault::host;
  if (colon == std::string_view::npos) return std::string(host).append(own_port);
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0) return UrlFault::port;
  return std::string(host) + ':' + std::to_string(*port);
}

std::string_view without_port(std::string_view host) { return host.substr(0, host.rfind(':')); }

bool is_local_host(std::string_view host) {
  std::string_view name = without_port(host);
  if (name == "[::1]" || name == "localhost") return true;
  std::array<std::string_view, 4> parts;
  for (std::string_view& part : parts) part = take_until(name, '.');
  const auto is_byte = [](std::string_view part) { return parse_number<std::uint8_t>(part).has_value(); };
  return name.empty() && parts.front() == "127" && std::all_of(parts.begin(), parts.end(), is_byte);
}

}  // namespace

Result<std::optional<ClusterUrl>, UrlFault> parse_cluster_url(std::string_view text) {
  if (text == "none") return std::optional<ClusterUrl>();
  ClusterUrl url;
  url.has_tls = text.starts_with(tls_scheme);
  if (!url.has_tls && !text.starts_with(plain_scheme)) return UrlFault::scheme;
  text.remove_prefix(url.has_tls ? tls_scheme.size() : plain_scheme.size());
  if (text.find('@') != std::string_view::npos) return UrlFault::user;
  const auto slash = text.find('/');
  std::string_view hosts = text.substr(0, slash);
  do {
    const bool is_followed = hosts.find(',') != std::string_view::npos;
    auto host = parse_host(take_until(hosts, ','));
    if (!host) return host.error();
    url.hosts.push_back(std::move(*host));
    if (url.hosts.size() > most_hosts) return UrlFault::too_many_hosts;
    if (is_followed && hosts.empty()) return UrlFault::host;
  } while (!hosts.empty());
  url.ns = slash == std::string_view::npos ? "" : text.substr(slash + 1);
  if (url.ns.empty()) return UrlFault::no_namespace;
  if (url.ns.size() > longest_namespace || !has_only(url.ns, "._-")) return UrlFault::bad_namespace;
  return std::optional(std::move(url));
}

std::string_view explanation_of(UrlFault fault) {
  switch (fault) {
    case UrlFault::scheme:
      return "expected etcds://HOST/NAMESPACE, etcd://HOST/NAMESPACE or none";
    case UrlFault::user:
      return "it may not contain a user or a password; set ETCDCTL_USER and ETCDCTL_PASSWORD";
    case UrlFault::host:
      return "expected a host name, an IPv4 address or an IPv6 address in brackets";
    case UrlFault::port:
      return "expected a port from 1 to 65535";
    case UrlFault::too_many_hosts:
      return "expected at most 64 hosts";
    case UrlFault::no_namespace:
      return "expected a namespace at its end: etcds://HOST/NAMESPACE";
    case UrlFault::bad_namespace:
      break;
  }
  return "expected a namespace of 1 to 64 letters, digits, '.', '_' and '-'";
}

std::string to_text(const ClusterUrl& url) {
  std::string text(url.has_tls ? tls_scheme : plain_scheme);
  for (const std::string& host : url.hosts) {
    if (&host != &url.hosts.front()) text += ',';
    text += host.ends_with(own_port) ? without_port(host) : host;
  }
  return text + '/' + url.ns;
}

std::vector<std::string> endpoints_of(const ClusterUrl& url) {
  std::vector<std::string> endpoints;
  for (const std::string& host : url.hosts) endpoints.push_back((url.has_tls ? "https://" : "http://") + host);
  return endpoints;
}

bool is_local(const ClusterUrl& url) { return std::all_of(url.hosts.begin(), url.hosts.end(), is_local_host); }

}  // namespace grex::core
