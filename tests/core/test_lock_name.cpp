#include "core/cluster/lock_name.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace grex;
using core::NameFault;

TEST_CASE("a lock's name is its path below the cluster root, and a dot for the root itself") {
  CHECK(*core::lock_name_of("/w/packs/app", "/w") == "packs/app");
  CHECK(*core::lock_name_of("/w", "/w") == ".");
  CHECK(*core::lock_name_of("/w/app", "/") == "w/app");
  CHECK(*core::lock_name_of("/", "/") == ".");
  for (const char* const path : {"/ww", "/", "/x/w", "/v"}) {
    CAPTURE(path);
    CHECK(core::lock_name_of(path, "/w").error() == NameFault::outside_root);
  }
  CHECK(core::lock_name_of("/w/" + std::string(513, 'x'), "/w").error() == NameFault::too_long);
}

TEST_CASE("a lock's name has 1 to 512 bytes and no NUL") {
  CHECK(core::check_lock_name("a/b %\xff"));
  CHECK(core::check_lock_name(std::string(512, 'x')));
  CHECK(core::check_lock_name("").error() == NameFault::empty);
  CHECK(core::check_lock_name(std::string(513, 'x')).error() == NameFault::too_long);
  CHECK(core::check_lock_name(std::string("a\0b", 3)).error() == NameFault::has_nul);
}

TEST_CASE("locks of a cluster are taken by tier, and within a tier by the bytes of their names") {
  struct Lock {
    core::Tier tier;
    std::string name;
    bool operator==(const Lock&) const = default;
  };
  std::vector<Lock> locks = {{core::Tier::manifest, "a"},
                             {core::Tier::per_pack, "\xc3\xa4"},
                             {core::Tier::per_pack, "b"},
                             {core::Tier::workspace_sync, "z"},
                             {core::Tier::per_pack, "b/a"}};
  std::sort(locks.begin(), locks.end(), core::takes_before);
  std::vector<std::string> names;
  for (const Lock& lock : locks) names.push_back(lock.name);
  CHECK(names == std::vector<std::string>{"z", "b", "b/a", "\xc3\xa4", "a"});
}
