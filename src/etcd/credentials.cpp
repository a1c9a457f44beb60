#include "etcd/credentials.hpp"

#include <fcntl.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>

#include "base/text.hpp"
#include "sys/file/file.hpp"

namespace grex::etcd {
namespace {

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
  credentials.ca = path_variable("ETCDCTL_CACERT");
  credentials.certificate = path_variable("ETCDCTL_CERT");
  credentials.key = path_variable("ETCDCTL_KEY");
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
  for (const std::string& path : {credentials.ca, credentials.certificate, credentials.key}) {
    if (path.empty()) continue;
    const UniqueFd fd = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd.is_open()) return path + ": " + std::strerror(errno);
    const auto status = sys::status_of(fd.get());
    if (!status || status->type != sys::FileType::regular) return path + ": not a regular file";
  }
  return {};
}

}  // namespace grex::etcd
