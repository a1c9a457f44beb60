#include "core/cluster/cluster_url.hpp"

#include <doctest/doctest.h>

using namespace grex;
using core::UrlFault;

namespace {

core::ClusterUrl parsed(const char* text) {
  const auto url = core::parse_cluster_url(text);
  REQUIRE(url);
  REQUIRE(url->has_value());
  return **url;
}

UrlFault fault_of(const std::string& text) {
  const auto url = core::parse_cluster_url(text);
  REQUIRE_FALSE(url);
  return url.error();
}

}  // namespace

TEST_CASE("a cluster's URL names its scheme, its hosts and its namespace") {
  const auto one = parsed("etcds://h1/ci");
  CHECK(one.has_tls);
  CHECK(core::endpoints_of(one) == std::vector<std::string>{"https://h1:2379"});
  CHECK(one.ns == "ci");
  const auto three = parsed("etcd://10.0.0.1:2379,h2.example.com:80,[fd00::1],[::1]:65535/a.B_c-9");
  CHECK(core::endpoints_of(three) == std::vector<std::string>{"http://10.0.0.1:2379", "http://h2.example.com:80",
                                                              "http://[fd00::1]:2379", "http://[::1]:65535"});
  CHECK(core::to_text(three) == "etcd://10.0.0.1,h2.example.com:80,[fd00::1],[::1]:65535/a.B_c-9");
  const auto none = core::parse_cluster_url("none");
  REQUIRE(none);
  CHECK_FALSE(none->has_value());
}

TEST_CASE("each fault of a cluster's URL has a name of its own") {
  for (const char* const text : {"", "h1/ci", "http://h1/ci", "ETCD://h1/ci", "etcd:/h1/ci", "None"}) {
    CAPTURE(text);
    CHECK(fault_of(text) == UrlFault::scheme);
  }
  CHECK(fault_of("etcds://root:secret@h1/ci") == UrlFault::user);
  for (const char* const text :
       {"etcd:///ci", "etcd://h1,/ci", "etcd://,h1/ci", "etcd://h 1/ci", "etcd://h1?x/ci", "etcd://[::1/ci",
        "etcd://[]/ci", "etcd://[h1]/ci", "etcd://[::1]x/ci", "etcd://-h/ci", "etcd://::1/ci", "etcd://h%31/ci"}) {
    CAPTURE(text);
    CHECK(fault_of(text) == UrlFault::host);
  }
  for (const char* const text : {"etcd://h1:/ci", "etcd://h1:0/ci", "etcd://h1:65536/ci", "etcd://h1:2379x/ci"}) {
    CAPTURE(text);
    CHECK(fault_of(text) == UrlFault::port);
  }
  CHECK(fault_of("etcd://h1") == UrlFault::no_namespace);
  CHECK(fault_of("etcd://h1/") == UrlFault::no_namespace);
  CHECK(fault_of("etcd://h1/a/b") == UrlFault::bad_namespace);
  CHECK(fault_of("etcd://h1/" + std::string(65, 'a')) == UrlFault::bad_namespace);
  CHECK(fault_of("etcd://h1/a\u00e4") == UrlFault::bad_namespace);
  std::string many = "etcd://h";
  for (int i = 0; i < 64; ++i) many += ",h";
  CHECK(fault_of(many + "/ci") == UrlFault::too_many_hosts);
}

TEST_CASE("only loopback addresses and localhost are local") {
  CHECK(core::is_local(parsed("etcd://127.0.0.1:1,localhost,[::1]/ci")));
  CHECK(core::is_local(parsed("etcd://127.8.9.10/ci")));
  for (const char* const text : {"etcd://127.0.0.1,h1/ci", "etcd://127.evil.example/ci", "etcd://127.0.0.1.x/ci",
                                 "etcd://127.0.0.256/ci", "etcd://10.0.0.1/ci", "etcd://127.1/ci"}) {
    CAPTURE(text);
    CHECK_FALSE(core::is_local(parsed(text)));
  }
}
