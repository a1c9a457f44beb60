#pragma once

#include <initializer_list>
#include <string>

#include "etcd/etcd_server.hpp"
#include "support/process.hpp"

namespace grex::test {

/// A cluster, and grex-lock with it in its environment.
class Site {
 public:
  explicit Site(const std::string& root = {}) {
    setup_.environment["GREX_LOCK_CLUSTER"] = "etcd://127.0.0.1:" + std::to_string(server_.port()) + "/ci";
    if (!root.empty()) setup_.environment["GREX_LOCK_CLUSTER_ROOT"] = root;
  }

  ~Site() { reap_keepers(); }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  [[nodiscard]] const Setup& setup() const { return setup_; }
  [[nodiscard]] const EtcdServer& server() const { return server_; }
  [[nodiscard]] Finished finish(std::initializer_list<std::string> words) const {
    return grex::test::finish(grex_lock(words), setup_);
  }
  [[nodiscard]] Process start(std::initializer_list<std::string> words) const {
    return Process(grex_lock(words), setup_);
  }

  /// Waits until no lock is held or waited for.
  void until_no_key() const {
    until([this] { return server_.keys().empty(); });
  }

 private:
  EtcdServer server_;
  Setup setup_;
};

/// Another machine, as far as its name says: a bash script there.
inline Words on_host(const std::string& host, const std::string& script) {
  return {"unshare", "-u", "bash", "-c", "hostname " + host + "; " + script};
}

/// Whether that can be had here.
inline bool can_unshare() { return finish(on_host("other", "true")).ended == exited(0); }

}  // namespace grex::test
