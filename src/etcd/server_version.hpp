#pragma once

#include <compare>
#include <string_view>

namespace grex::etcd {

/// The version of an etcd server, without what may follow it: "3.4.23", "3.6.0-rc.1".
struct ServerVersion {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned patch = 0;
  auto operator<=>(const ServerVersion&) const = default;
};

/// A part that is no number is 0.
ServerVersion parse_server_version(std::string_view text);

/// Whether it has the requests of this program.
bool is_supported(const ServerVersion& version);

/// Whether it can confirm the renewal of a lease that has ended, which was fixed in 3.5.23 and
/// 3.6.5.
bool may_renew_ended_lease(const ServerVersion& version);

}  // namespace grex::etcd
