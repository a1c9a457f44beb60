#include <doctest/doctest.h>

#include "core/inspect/waiting_descendants.hpp"

using namespace grex::core;

TEST_CASE("a process that sleeps until its only child ends waits for it") {
  CHECK(waits_for_child({"bash", 1, "do_wait", {7}}, 7));
  CHECK(waits_for_child({"dash", 1, "sigsuspend.isra.0", {7}}, 7));
  CHECK(waits_for_child({"sh", 1, "__x64_sys_rt_sigsuspend", {7}}, 7));
}

TEST_CASE("a process that may go on does not wait for its child") {
  CHECK_FALSE(waits_for_child({"bash", 1, "do_wait", {7, 8}}, 7));     // another child may end first
  CHECK_FALSE(waits_for_child({"bash", 1, "do_wait", {8}}, 7));        // that is another one's child by now
  CHECK_FALSE(waits_for_child({"make", 2, "do_wait", {7}}, 7));        // its other thread works
  CHECK_FALSE(waits_for_child({"bash", 1, "0", {7}}, 7));              // it runs
  CHECK_FALSE(waits_for_child({"bash", 1, "", {7}}, 7));               // not known
  CHECK_FALSE(waits_for_child({"sudo", 1, "do_poll", {7}}, 7));        // anything may wake it
  CHECK_FALSE(waits_for_child({"timeout", 1, "sigsuspend", {7}}, 7));  // it will kill its child
  CHECK_FALSE(waits_for_child({"mill", 1, "do_wait", {7}, true}, 7));  // it has a timer
}

TEST_CASE("a grex-lock waits for its command, whatever its threads do") {
  CHECK(waits_for_child({"grex-lock", 3, "do_sigtimedwait", {7}, true}, 7));
  CHECK_FALSE(waits_for_child({"grex-lock", 1, "do_sigtimedwait", {}}, 7));
}
