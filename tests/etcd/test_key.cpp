#include "etcd/key.hpp"

#include <doctest/doctest.h>

using namespace grex;

TEST_CASE("a key names its lock, its mode and its lease") {
  const etcd::LockKey key = {"ci", core::Tier::per_pack, "a/b %\xff", sys::Mode::shared, 0x1234};
  const std::string text = "/grex-lock/ci/per-pack/a%2Fb%20%25%FF/s/0000000000001234";
  CHECK(etcd::to_text(key) == text);
  const auto parsed = etcd::parse_key(text);
  REQUIRE(parsed);
  CHECK(parsed->name == key.name);
  CHECK(parsed->mode == sys::Mode::shared);
  CHECK(parsed->lease == 0x1234);
}

TEST_CASE("the keys of a lock are in its range, and those of no other lock") {
  const auto is_in = [](const std::string& key, const std::string& prefix) {
    return key >= prefix && key < etcd::range_end(prefix);
  };
  const std::string lock = etcd::lock_prefix("ci", core::Tier::per_pack, "a");
  const auto key_of = [](const char* name) {
    return etcd::to_text({"ci", core::Tier::per_pack, name, sys::Mode::exclusive, ~0ULL});
  };
  CHECK(is_in(key_of("a"), lock));
  CHECK(is_in(key_of("a"), etcd::mode_prefix(lock, sys::Mode::exclusive)));
  CHECK_FALSE(is_in(key_of("a"), etcd::mode_prefix(lock, sys::Mode::shared)));
  CHECK_FALSE(is_in(key_of("a/b"), lock));
  CHECK_FALSE(is_in(key_of("aa"), lock));
  CHECK(is_in(key_of("a"), etcd::namespace_prefix("ci")));
  CHECK_FALSE(is_in(key_of("a"), etcd::namespace_prefix("c")));
}

TEST_CASE("a key that grex-lock would not write is not read") {
  for (const char* const text :
       {"", "/grex-lock/ci", "/grex-lock/ci/per-pack/a/x/", "/grex-lock/ci/per-pack/a/y/0000000000001234",
        "/grex-lock/ci/per-pack/a/x/1234", "/grex-lock/ci/per-pack/a/x/000000000000123G",
        "/grex-lock/ci/per-pack/a/x/000000000000ABCD", "/grex-lock/ci/tier/a/x/0000000000001234",
        "/grex-lock/ci/per-pack/%61/x/0000000000001234", "/grex-lock/ci/per-pack/%/x/0000000000001234",
        "/grex-lock/ci/per-pack/%2f/x/0000000000001234", "/grex-lock/ci/per-pack/a/x/0000000000001234/"}) {
    CAPTURE(text);
    CHECK_FALSE(etcd::parse_key(text));
  }
}

TEST_CASE("a key of a lock that can't have its name is not read") {
  const std::string key = "/grex-lock/ci/per-pack/" + std::string(513, 'a') + "/x/0000000000001234";
  CHECK_FALSE(etcd::parse_key(key));
  CHECK_FALSE(etcd::parse_key("/grex-lock/ci/per-pack//x/0000000000001234"));
  CHECK_FALSE(etcd::parse_key("/grex-lock/ci/per-pack/%00/x/0000000000001234"));
}
