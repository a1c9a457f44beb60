#include "etcd/server_version.hpp"

#include "base/text.hpp"

namespace grex::etcd {

ServerVersion parse_server_version(std::string_view text) {
  const auto next = [&text](char end) { return parse_number<unsigned>(take_until(text, end)).value_or(0); };
  ServerVersion version;
  version.major = next('.');
  version.minor = next('.');
  version.patch = next('-');
  return version;
}

bool is_supported(const ServerVersion& version) { return version >= ServerVersion{3, 4, 0}; }

bool may_renew_ended_lease(const ServerVersion& version) {
  return version < ServerVersion{3, 5, 23} || (version >= ServerVersion{3, 6, 0} && version < ServerVersion{3, 6, 5});
}

}  // namespace grex::etcd
