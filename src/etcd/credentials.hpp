#pragma once

#include <string>

namespace grex::etcd {

/// How this process proves to the cluster who it is, from the environment variables of etcdctl.
/// What is not set is empty.
struct Credentials {
  std::string ca;           ///< ETCDCTL_CACERT, an absolute path
  std::string certificate;  ///< ETCDCTL_CERT, an absolute path
  std::string key;          ///< ETCDCTL_KEY, an absolute path
  std::string user;         ///< ETCDCTL_USER: a name, or NAME:PASSWORD
  std::string password;     ///< ETCDCTL_PASSWORD, or from the user
};

/// Reads them, and then removes every variable from the environment: some make libraries write
/// keys to a file, or run code.
Credentials take_credentials();

/// The variable whose file can't be read, with the file and why; empty if there is none.
std::string unreadable_file(const Credentials& credentials);

}  // namespace grex::etcd
