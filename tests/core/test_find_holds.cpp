#include "core/inspect/find_holds.hpp"

#include <doctest/doctest.h>

using namespace grex;

TEST_CASE("the program of a hold is known by its name, also after an upgrade") {
  CHECK(core::names_grex_lock("/usr/bin/grex-lock"));
  CHECK(core::names_grex_lock("/usr/bin/grex-lock (deleted)"));
  CHECK_FALSE(core::names_grex_lock("/usr/bin/grex-lock-run"));
  CHECK_FALSE(core::names_grex_lock("/grex-lock/sleep"));
  CHECK_FALSE(core::names_grex_lock(""));
}
