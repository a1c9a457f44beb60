#include <doctest/doctest.h>

#include "core/lock/layout.hpp"

using namespace grex::core;

TEST_CASE("the flat layout has the lock files of grex 1.1.0 to 1.3.1") {
  CHECK(lock_name(Layout::flat, Tier::workspace_sync, "app", 0) == ".grex.sync.lock");
  CHECK(lock_name(Layout::flat, Tier::semaphore, "app", 3) == ".grex/.grex.slot-3.lock");
  CHECK(lock_name(Layout::flat, Tier::per_pack, "app", 0) == ".grex-lock");
  CHECK(lock_name(Layout::flat, Tier::backend, "app", 0) == ".grex-backend-app.lock");
  CHECK(lock_name(Layout::flat, Tier::manifest, "app", 0) == ".grex/.grex.lock");
}

TEST_CASE("the nested layout has the lock files of grex 1.3.2 and later") {
  CHECK(lock_name(Layout::nested, Tier::workspace_sync, "app", 0) == ".grex/.grex.sync.lock");
  CHECK(lock_name(Layout::nested, Tier::semaphore, "app", 3) == ".grex/.grex.slot-3.lock");
  CHECK(lock_name(Layout::nested, Tier::per_pack, "app", 0) == ".grex/.grex-lock");
  CHECK(lock_name(Layout::nested, Tier::backend, "lib/app", 0) == ".grex/locks/lib/app.backend.lock");
  CHECK(lock_name(Layout::nested, Tier::manifest, "app", 0) == ".grex/.grex.lock");
}

TEST_CASE("layout both is flat, then nested, and other names are unknown") {
  CHECK(layouts_named("flat") == Layouts{Layout::flat});
  CHECK(layouts_named("nested") == Layouts{Layout::nested});
  CHECK(layouts_named("both") == Layouts{Layout::flat, Layout::nested});
  for (const char* const name : {"", "Flat", "flat,nested", "all"}) CHECK_FALSE(layouts_named(name));
}

TEST_CASE("only the lock file of tier backend lies outside its target") {
  for (const Tier tier : all_tiers) CHECK(is_sibling_lock(tier) == (tier == Tier::backend));
}

TEST_CASE("every lock file's name shows its tier, and no other file's does") {
  for (const Layout layout : {Layout::flat, Layout::nested}) {
    for (const Tier tier : all_tiers) CHECK(tier_of_lock_file("/ws/" + lock_name(layout, tier, "app", 7)) == tier);
  }
  CHECK(tier_of_lock_file(".grex-lock") == Tier::per_pack);
  for (const char* const path : {"", "/", "/ws/lock", "/ws/.grex-lock/x", "/ws/.grex-backend.lock",
                                 "/ws/x.backend.lock", "/ws/.grex.lock", "/ws/.grex/locks/.backend.lock",
                                 "/ws/.grex/locks/a/.backend.lock", "/ws/x.grex-lock", "/ws/.grex.slot-queue-4.lock"}) {
    CAPTURE(path);
    CHECK_FALSE(tier_of_lock_file(path));
  }
}

TEST_CASE("a lock file's path shows its target, tier and layout") {
  const auto check = [](const std::string& path, Tier tier, Layout layout, const std::string& target) {
    CAPTURE(path);
    const auto place = lock_place_of(path);
    REQUIRE(place);
    CHECK(place->tier == tier);
    CHECK(place->layout == layout);
    CHECK(place->target == target);
  };
  for (const Layout layout : {Layout::flat, Layout::nested}) {
    for (const Tier tier : all_tiers) {
      const bool is_child = tier == Tier::backend;
      check("/ws/" + lock_name(layout, tier, "app", 7), tier, has_file_per_layout(tier) ? layout : Layout::flat,
            is_child ? "/ws/app" : "/ws");
    }
  }
  check("/ws/" + queue_name(4), Tier::semaphore, Layout::flat, "/ws");
  check("/.grex-lock", Tier::per_pack, Layout::flat, "/");
  check("/.grex/.grex-lock", Tier::per_pack, Layout::nested, "/");
  check("/.grex/.grex.lock", Tier::manifest, Layout::flat, "/");
  check("/.grex-backend-app.lock", Tier::backend, Layout::flat, "/app");
  check("/.grex/locks/a/b.backend.lock", Tier::backend, Layout::nested, "/a/b");
  CHECK(lock_place_of("/ws/.grex/.grex.slot-7.lock")->slot == 7);
  CHECK_FALSE(lock_place_of("/ws/.grex/.grex.slot-queue-7.lock")->slot);
}

TEST_CASE("names of earlier releases are known as old, and are no lock files of today") {
  const auto check = [](const std::string& path, Tier tier, const std::string& target) {
    CAPTURE(path);
    const auto place = lock_place_of(path);
    REQUIRE(place);
    CHECK(place->is_old);
    CHECK(place->tier == tier);
    CHECK(place->target == target);
    CHECK_FALSE(tier_of_lock_file(path));
  };
  check("/ws/.grex/workspace/.grex.sync.lock", Tier::workspace_sync, "/ws");
  check("/ws/.grex.slot-7.lock", Tier::semaphore, "/ws");
  check("/ws/.grex.slot-queue-7.lock", Tier::semaphore, "/ws");
  check("/ws/app.grex-backend.lock", Tier::backend, "/ws/app");
  check("/app.grex-backend.lock", Tier::backend, "/app");
  CHECK_FALSE(lock_place_of("/ws/.grex.sync.lock")->is_old);
}

TEST_CASE("the queue for slots is not a slot") {
  CHECK(queue_name(4) == ".grex/.grex.slot-queue-4.lock");
  CHECK_FALSE(slot_number(".grex.slot-queue-4.lock"));
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
