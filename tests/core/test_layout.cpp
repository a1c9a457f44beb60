#include <doctest/doctest.h>

#include "core/layout.hpp"

using namespace grex::core;

TEST_CASE("the flat layout has the lock files of grex up to 1.3.1") {
  CHECK(lock_name(Tier::workspace_sync, "app", 0) == ".grex.sync.lock");
  CHECK(lock_name(Tier::semaphore, "app", 3) == ".grex.slot-3.lock");
  CHECK(lock_name(Tier::per_pack, "app", 0) == ".grex-lock");
  CHECK(lock_name(Tier::backend, "app", 0) == "app.grex-backend.lock");
  CHECK(lock_name(Tier::manifest, "app", 0) == ".grex/.grex.lock");
}

TEST_CASE("only the backend's lock file lies beside its target") {
  for (const Tier tier : all_tiers) CHECK((lies_beside_target(tier) == Beside::yes) == (tier == Tier::backend));
}

TEST_CASE("a slot's number is read from its file's name and from no other") {
  CHECK(slot_number(".grex.slot-0.lock") == 0);
  CHECK(slot_number(".grex.slot-41.lock") == 41);
  for (const char* const name :
       {".grex.slot-.lock", ".grex.slot-x.lock", ".grex.slot--1.lock", ".grex.slot-1.lock.bak", ".grex.slot-07.lock",
        "grex.slot-1.lock", ".grex.slot-1", ".grex.slot-.loc", ".grex.slot-99999999999.lock"}) {
    CAPTURE(name);
    CHECK_FALSE(slot_number(name));
  }
}
