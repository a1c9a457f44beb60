#include <doctest/doctest.h>

#include "core/lock/tier_stack.hpp"

using namespace grex;
using core::Reentrant;
using core::StackEntry;
using core::Tier;
using core::Verdict;
using sys::Mode;

namespace {

StackEntry entry(Tier tier, std::uint64_t ino, Mode mode = Mode::exclusive) {
  return {tier, "/ws/lock-" + std::to_string(ino), {7, ino}, 42, mode};
}

}  // namespace

TEST_CASE("the five tiers have the seed's ordinals") {
  CHECK(core::ordinal_of(Tier::workspace_sync) == 0);
  CHECK(core::ordinal_of(Tier::semaphore) == 1);
  CHECK(core::ordinal_of(Tier::per_pack) == 2);
  CHECK(core::ordinal_of(Tier::backend) == 3);
  CHECK(core::ordinal_of(Tier::manifest) == 4);
}

TEST_CASE("every tier is found by its name and by nothing else") {
  for (const Tier tier : core::all_tiers) CHECK(core::tier_named(core::name_of(tier)) == tier);
  CHECK_FALSE(core::tier_named(""));
  CHECK_FALSE(core::tier_named("Per-Pack"));
}

TEST_CASE("a stack is read back unchanged from the environment") {
  const core::TierStack stack = {entry(Tier::workspace_sync, 1), entry(Tier::per_pack, 2, Mode::shared)};
  const std::string text = core::to_text(stack);
  CHECK(text == R"([{"tier":"workspace-sync","path":"/ws/lock-1","dev":7,"ino":1,"pid":42,"mode":"exclusive"},)"
                R"({"tier":"per-pack","path":"/ws/lock-2","dev":7,"ino":2,"pid":42,"mode":"shared"}])");
  const auto parsed = core::parse_tier_stack(text);
  REQUIRE(parsed);
  REQUIRE(parsed->size() == 2);
  CHECK((*parsed)[1].file == stack[1].file);
  CHECK((*parsed)[1].mode == Mode::shared);
  CHECK(core::to_text(*parsed) == text);
}

TEST_CASE("an empty text and an empty array are an empty stack") {
  CHECK(core::parse_tier_stack("")->empty());
  CHECK(core::parse_tier_stack("[]")->empty());
}

// SECURITY.md: a `GREX_LOCK_STACK` that is no stack | 65: it fails closed
TEST_CASE("text that grex-lock does not write is refused as a stack") {
  const std::string good = core::to_text({entry(Tier::per_pack, 2)});
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    return text.replace(text.find(from), from.size(), to);
  };
  const std::vector<std::string> garbage = {"x",
                                            "{}",
                                            "null",
                                            "1",
                                            "[1]",
                                            "[[]]",
                                            "[{}]",
                                            good + "x",
                                            good.substr(0, good.size() - 1),
                                            with("per-pack", "pack"),
                                            with("\"per-pack\"", "2"),
                                            with("exclusive", "write"),
                                            with("\"pid\":42", "\"pid\":0"),
                                            with("\"pid\":42", "\"pid\":-1"),
                                            with("\"pid\":42", "\"pid\":4294967296"),
                                            with("\"pid\":42", "\"pid\":\"42\""),
                                            with("\"dev\":7,", ""),
                                            with("\"ino\":2", "\"ino\":2.5"),
                                            with("\"ino\":2", "\"ino\":99999999999999999999"),
                                            with("/ws/lock-2", ""),
                                            std::string(core::longest_stack_text + 1, '['),
                                            "[" + std::string(core::longest_stack_text, ' ') + "]",
                                            std::string("\0", 1)};
  for (const std::string& text : garbage) {
    CAPTURE(text);
    const auto parsed = core::parse_tier_stack(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().kind == ErrorKind::stack);
  }
}

TEST_CASE("keys that a later release may add are ignored") {
  CHECK(core::parse_tier_stack(
      R"([{"tier":"backend","path":"/a","dev":1,"ino":2,"pid":3,"mode":"shared","layout":"flat"}])"));
}

TEST_CASE("a stack with a path that is not UTF-8 can be read back") {
  StackEntry odd = entry(Tier::per_pack, 2);
  odd.path = "/ws/\xff\xfe";
  const auto parsed = core::parse_tier_stack(core::to_text({odd}));
  REQUIRE(parsed);
  CHECK(parsed->front().file == odd.file);
}

TEST_CASE("tiers may be taken in strictly increasing order") {
  core::TierStack stack;
  std::uint64_t ino = 1;
  for (const Tier tier : core::all_tiers) {
    CHECK(core::judge(stack, tier, {}, Mode::exclusive, Reentrant::no).kind == Verdict::Kind::take);
    stack.push_back(entry(tier, ino++));
  }
}

TEST_CASE("a reversed order, and the same tier again, are violations that name the highest tier held") {
  const core::TierStack stack = {entry(Tier::backend, 1), entry(Tier::workspace_sync, 2)};
  for (const Tier tier : {Tier::workspace_sync, Tier::semaphore, Tier::per_pack, Tier::backend}) {
    const Verdict verdict = core::judge(stack, tier, {}, Mode::exclusive, Reentrant::no);
    CHECK(verdict.kind == Verdict::Kind::tier_violation);
    CHECK(verdict.because == &stack[0]);
  }
  CHECK(core::judge(stack, Tier::manifest, {}, Mode::exclusive, Reentrant::no).kind == Verdict::Kind::take);
}

TEST_CASE("a lock that an ancestor holds is a re-entry, whatever tier it is requested at") {
  const core::TierStack stack = {entry(Tier::per_pack, 1), entry(Tier::backend, 2)};
  const Verdict verdict = core::judge(stack, Tier::manifest, {{7, 1}}, Mode::shared, Reentrant::no);
  CHECK(verdict.kind == Verdict::Kind::reentry);
  CHECK(verdict.because == &stack[0]);
}

TEST_CASE("a re-entry goes on only if the held mode is at least the requested one") {
  const core::TierStack exclusive = {entry(Tier::per_pack, 1)};
  const core::TierStack shared = {entry(Tier::per_pack, 1, Mode::shared)};
  const auto kind = [](const core::TierStack& stack, Mode mode) {
    return core::judge(stack, Tier::per_pack, {{7, 1}}, mode, Reentrant::yes).kind;
  };
  CHECK(kind(exclusive, Mode::exclusive) == Verdict::Kind::already_ours);
  CHECK(kind(exclusive, Mode::shared) == Verdict::Kind::already_ours);
  CHECK(kind(shared, Mode::shared) == Verdict::Kind::already_ours);
  CHECK(kind(shared, Mode::exclusive) == Verdict::Kind::reentry);
}
