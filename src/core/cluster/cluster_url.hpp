#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace grex::core {

/// Where a cluster is, as users write it: `etcds://HOST[:PORT][,…]/NAMESPACE`, or `etcd://` for a
/// connection without TLS.
struct ClusterUrl {
  bool has_tls = true;
  std::vector<std::string> hosts;  ///< with their ports: "h1:2379", "[::1]:2379"
  std::string ns;                  ///< the namespace
};

/// What is wrong with a URL.
enum class UrlFault {
  scheme,          ///< neither etcds:// nor etcd://
  user,            ///< a user or a password in it, which other processes could see
  host,            ///< no host, or a character that is in none
  port,            ///< not 1 to 65535
  too_many_hosts,  ///< more than 64
  no_namespace,
  bad_namespace,
};

/// nullopt for `none`: the user wants no cluster.
Result<std::optional<ClusterUrl>, UrlFault> parse_cluster_url(std::string_view text);

/// What to write instead.
std::string_view explanation_of(UrlFault fault);

/// The URL; without the port if that is etcd's own.
std::string to_text(const ClusterUrl& url);

/// The URLs of the servers: "https://h1:2379".
std::vector<std::string> endpoints_of(const ClusterUrl& url);

/// Whether nothing that is sent there leaves this machine: a loopback address, or localhost.
bool is_local(const ClusterUrl& url);

}  // namespace grex::core
