#include "base/nearest_word.hpp"

#include <doctest/doctest.h>

#include <string>

using grex::nearest_word;

namespace {

const std::vector<std::string_view> commands = {"run", "hold", "release", "wait", "fd", "probe", "status", "stack"};
const std::vector<std::string_view> tiers = {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"};

}  // namespace

TEST_CASE("a mistyped word is near the one that was meant") {
  CHECK(nearest_word("rum", commands) == "run");   // replaced
  CHECK(nearest_word("rn", commands) == "run");    // left out
  CHECK(nearest_word("runn", commands) == "run");  // inserted
  CHECK(nearest_word("urn", commands) == "run");   // swapped
  CHECK(nearest_word("stat", commands) == "status");
  CHECK(nearest_word("stakc", commands) == "stack");
  CHECK(nearest_word("perpack", tiers) == "per-pack");
  CHECK(nearest_word("pack", tiers) == "per-pack");  // a part of it
  CHECK(nearest_word("sync", tiers) == "workspace-sync");
  CHECK(nearest_word("run", commands) == "run");
}

TEST_CASE("no word is near one that differs in much") {
  for (const char* const typed : {"", "r", "app", "make", "lock", "git"}) {
    CAPTURE(typed);
    CHECK_FALSE(nearest_word(typed, commands));
  }
  CHECK_FALSE(nearest_word("none", tiers));
  CHECK_FALSE(nearest_word(std::string(100'000, 'x'), commands));
  CHECK_FALSE(nearest_word("run", {}));
}

TEST_CASE("of several near words, the nearest is meant, and of equally near ones the first") {
  CHECK(nearest_word("stacks", {"status", "stack"}) == "stack");
  CHECK(nearest_word("bot", {"bat", "boa"}) == "bat");
}
