#pragma once

#include <stdexcept>
#include <string>

#include "etcd/etcd_server.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

namespace grex::test {

/// Certificates of a server and of clients: see certificates.sh.
class Certificates {
 public:
  Certificates() {
    const auto made = finish({GREX_LOCK_TESTS "/etcd/certificates.sh", dir_.path()});
    if (made.ended != exited(0)) throw std::runtime_error("openssl: " + made.err);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return dir_ / name; }

  [[nodiscard]] EtcdServer server(const std::string& name = "server") const {
    return EtcdServer({"--cert-file", dir_ / (name + ".pem"), "--key-file", dir_ / (name + ".key")}, "https");
  }
  /// Refuses a client without a certificate of its CA.
  [[nodiscard]] EtcdServer server_for_certificates() const {
    return EtcdServer({"--cert-file", dir_ / "server.pem", "--key-file", dir_ / "server.key", "--client-cert-auth",
                       "--trusted-ca-file", dir_ / "ca.pem"},
                      "https");
  }

  /// The environment of a client with the CA of the server, and this certificate.
  [[nodiscard]] Setup client(const std::string& name) const {
    return {.environment = {{"ETCDCTL_CACERT", dir_ / "ca.pem"},
                            {"ETCDCTL_CERT", dir_ / (name + ".pem")},
                            {"ETCDCTL_KEY", dir_ / (name + ".key")}}};
  }
  /// That of a client with this CA, and no certificate.
  [[nodiscard]] Setup trusting(const std::string& ca) const {
    return {.environment = {{"ETCDCTL_CACERT", dir_ / (ca + ".pem")}}};
  }

 private:
  TempDir dir_;
};

}  // namespace grex::test
