// grex-lock-etcd: keeps locks in etcd for grex-lock, which starts it.

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include "base/exit_code.hpp"
#include "core/cluster/keeper_protocol.hpp"
#include "etcd/credentials.hpp"
#include "etcd/etcd_engine.hpp"
#include "etcd/keeper_loop.hpp"
#include "sys/process/descriptor_limit.hpp"
#include "sys/process/independence.hpp"

using namespace grex;

namespace {

int show_version() {
  (void)std::printf("grex-lock-etcd %s (protocol %d)\n", GREX_LOCK_VERSION, core::keeper_protocol);
  return std::fflush(stdout) == 0 ? exit_code::ok : exit_code::io;
}

int explain() {
  (void)std::fputs(
      "grex-lock-etcd: grex-lock starts this program to keep locks in etcd: see --cluster in grex-lock(1)\n", stderr);
  return exit_code::usage;
}

int keep() {
  etcd::Credentials credentials = etcd::take_credentials();
  sys::become_independent(core::keeper_deadline);
  const sys::RaisedDescriptorLimit for_pidfds;
  auto descriptors = etcd::KeeperDescriptors::open();
  if (!descriptors) return exit_code::system;
  etcd::KeeperLoop loop(std::move(*descriptors));
  etcd::EtcdEngine engine(loop, std::move(credentials));
  loop.run(engine);
  return exit_code::ok;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) return show_version();
  if (argc != 1 || !sys::is_stream_socket(core::keeper_socket)) return explain();
  try {
    return keep();
  } catch (const std::exception&) {
    return exit_code::system;  // memory
  }
}
