#include "etcd/credentials.hpp"

#include <fcntl.h>
#include <stdlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.hpp"
#include "sys/file/file.hpp"

namespace grex::etcd {
namespace {

constexpr const char* ca_variable = "ETCDCTL_CACERT";
constexpr const char* certificate_variable = "ETCDCTL_CERT";
constexpr const char* key_variable = "ETCDCTL_KEY";

std::string variable(const char* name) {
  const char* const value = ::getenv(name);
  return value == nullptr ? "" : value;
}

// The keeper leaves the directory in which it was started.
std::string path_variable(const char* name) {
  std::string path = variable(name);
  if (path.empty() || path.starts_with('/')) return path;
  return path_in(sys::working_directory(), path);
}

}  // namespace

Credentials take_credentials() {
  Credentials credentials;
  credentials.ca = path_variable(ca_variable);
  credentials.certificate = path_variable(certificate_variable);
  credentials.key = path_variable(key_variable);
  credentials.user = variable("ETCDCTL_USER");
  credentials.password = variable("ETCDCTL_PASSWORD");
  const auto colon = credentials.user.find(':');
  if (credentials.password.empty() && colon != std::string::npos) {
    credentials.password = credentials.user.substr(colon + 1);
    credentials.user.resize(colon);
  }
  ::clearenv();
  return credentials;
}

std::string unreadable_file(const Credentials& credentials) {
  const std::array<std::pair<const char*, const std::string&>, 3> files = {
      {{ca_variable, credentials.ca},
       {certificate_variable, credentials.certificate},
       {key_variable, credentials.key}}};
  for (const auto& [name, path] : files) {
    if (path.empty()) continue;
    const std::string start = std::string(name) + ": " + path + ": ";
    const UniqueFd fd = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd.is_open()) return start + std::strerror(errno);
    const auto status = sys::status_of(fd.get());
    if (!status || status->type != sys::FileType::regular) return start + "not a regular file";
  }
  return {};
}

}  // namespace grex::etcd
