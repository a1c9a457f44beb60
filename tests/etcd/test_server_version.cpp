#include <doctest/doctest.h>

#include "etcd/server_version.hpp"

using namespace grex::etcd;

TEST_CASE("the version of a server is read up to what follows its three numbers") {
  CHECK(parse_server_version("3.4.23") == ServerVersion{3, 4, 23});
  CHECK(parse_server_version("3.6.0-rc.1") == ServerVersion{3, 6, 0});
  CHECK(parse_server_version("4.0") == ServerVersion{4, 0, 0});
  CHECK(parse_server_version("etcd") == ServerVersion{0, 0, 0});
}

TEST_CASE("servers from 3.4 on are supported, and a fault is known of those before it was fixed") {
  CHECK_FALSE(is_supported(parse_server_version("3.3.27")));
  CHECK(is_supported(parse_server_version("3.4.0")));
  for (const char* const fixed : {"3.5.23", "3.5.24", "3.6.5", "3.6.10", "3.7.0", "4.0.0"}) {
    CHECK_FALSE(may_renew_ended_lease(parse_server_version(fixed)));
  }
  for (const char* const faulty : {"3.4.23", "3.5.22", "3.6.0", "3.6.4"}) {
    CHECK(may_renew_ended_lease(parse_server_version(faulty)));
  }
}
