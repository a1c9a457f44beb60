#include <doctest/doctest.h>

#include "core/lock/tier_stack.hpp"

using namespace grex;
using core::Liveness;
using core::Reentrant;
using core::StackEntry;
using core::Tier;
using core::Verdict;
using core::VerifiedEntry;
using sys::Mode;

namespace {

StackEntry entry(Tier tier, std::uint64_t ino, Mode mode = Mode::exclusive) {
  return {tier, "/ws/lock-" + std::to_string(ino), {7, ino}, 42, mode, 1500};
}

VerifiedEntry verified(Tier tier, std::uint64_t ino, Liveness liveness = Liveness::live_proved) {
  return {entry(tier, ino), liveness};
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
  CHECK(text ==
        R"([{"tier":"workspace-sync","path":"/ws/lock-1","dev":7,"ino":1,"pid":42,"mode":"exclusive","taken":1500},)"
        R"({"tier":"per-pack","path":"/ws/lock-2","dev":7,"ino":2,"pid":42,"mode":"shared","taken":1500}])");
  const auto parsed = core::parse_tier_stack(text);
  REQUIRE(parsed);
  REQUIRE(parsed->size() == 2);
  CHECK((*parsed)[1].file == stack[1].file);
  CHECK((*parsed)[1].mode == Mode::shared);
  CHECK((*parsed)[1].taken == 1500U);
  CHECK(core::to_text(*parsed) == text);
}

TEST_CASE("a stack has no character that some shell changes within quotes") {
  core::TierStack stack = {entry(Tier::per_pack, 1)};
  for (int c = 1; c < 256; ++c) stack[0].path += static_cast<char>(c);
  stack[0].path += "\xc3\xa9\\\\\"\\n";
  const std::string text = core::to_text(stack);
  CHECK(text.find_first_of(" !#$%&'()*;<=>?^`|~") == std::string::npos);
  for (std::size_t at = 0; (at = text.find('\\', at)) != std::string::npos; ++at) {
    CHECK(std::string_view("ubfnrt").find(text[at + 1]) != std::string_view::npos);
  }
  const auto parsed = core::parse_tier_stack(text);
  REQUIRE(parsed);
  CHECK((*parsed)[0].path.starts_with("/ws/lock-1\x01"));
  CHECK((*parsed)[0].path.ends_with("\xc3\xa9\\\\\"\\n"));
  CHECK(core::to_text(*parsed) == text);
}

TEST_CASE("an empty text and an empty array are an empty stack") {
  CHECK(core::parse_tier_stack("")->empty());
  CHECK(core::parse_tier_stack("[]")->empty());
}

// SECURITY.md: set `GREX_LOCK_STACK` to what is not a stack | 65: it fails closed
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
                                            with("1500", "\"1500\""),
                                            with("1500", "null"),
                                            with("1500", "-1"),
                                            with("1500", "1.5"),
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

TEST_CASE("an entry of release 0.1, which has no time, is read and written without one") {
  const std::string text = R"([{"tier":"backend","path":"/a","dev":1,"ino":2,"pid":3,"mode":"shared"}])";
  const auto parsed = core::parse_tier_stack(text);
  REQUIRE(parsed);
  CHECK_FALSE(parsed->front().taken);
  CHECK(core::to_text(*parsed) == text);
}

TEST_CASE("a lock that was just taken exclusively replaces the stale entries of its file") {
  core::TierStack stack = {entry(Tier::per_pack, 1), entry(Tier::backend, 2)};
  core::add_entry(stack, entry(Tier::per_pack, 1));
  REQUIRE(stack.size() == 2);
  CHECK(stack[0].tier == Tier::backend);
  core::add_entry(stack, entry(Tier::backend, 2, Mode::shared));
  CHECK(stack.size() == 3);
}

TEST_CASE("a stack with a path that is not UTF-8 can be read back") {
  StackEntry odd = entry(Tier::per_pack, 2);
  odd.path = "/ws/\xff\xfe";
  const auto parsed = core::parse_tier_stack(core::to_text({odd}));
  REQUIRE(parsed);
  CHECK(parsed->front().file == odd.file);
}

TEST_CASE("tiers may be taken in strictly increasing order") {
  core::VerifiedStack stack;
  std::uint64_t ino = 1;
  for (const Tier tier : core::all_tiers) {
    CHECK(core::judge(stack, {tier, {}, {}, Mode::exclusive}, Reentrant::no).kind == Verdict::Kind::take);
    stack.push_back(verified(tier, ino++));
  }
}

TEST_CASE("a reversed order, and the same tier again, are violations that name the highest tier held") {
  const core::VerifiedStack stack = {verified(Tier::backend, 1), verified(Tier::workspace_sync, 2)};
  for (const Tier tier : {Tier::workspace_sync, Tier::semaphore, Tier::per_pack, Tier::backend}) {
    const Verdict verdict = core::judge(stack, {tier, {}, {}, Mode::exclusive}, Reentrant::no);
    CHECK(verdict.kind == Verdict::Kind::tier_violation);
    CHECK(verdict.because == &stack[0]);
  }
  CHECK(core::judge(stack, {Tier::manifest, {}, {}, Mode::exclusive}, Reentrant::no).kind == Verdict::Kind::take);
}

TEST_CASE("a lock that an ancestor holds is a re-entry, whatever tier it is requested at") {
  const core::VerifiedStack stack = {verified(Tier::per_pack, 1), verified(Tier::backend, 2)};
  const Verdict verdict = core::judge(stack, {Tier::manifest, {{7, 1}}, {}, Mode::shared}, Reentrant::no);
  CHECK(verdict.kind == Verdict::Kind::reentry);
  CHECK(verdict.because == &stack[0]);
}

TEST_CASE("a re-entry goes on only if the held mode is at least the requested one") {
  const core::VerifiedStack exclusive = {verified(Tier::per_pack, 1)};
  const core::VerifiedStack shared = {{entry(Tier::per_pack, 1, Mode::shared), Liveness::live_proved}};
  const auto kind = [](const core::VerifiedStack& stack, Mode mode) {
    return core::judge(stack, {Tier::per_pack, {{7, 1}}, {}, mode}, Reentrant::yes).kind;
  };
  CHECK(kind(exclusive, Mode::exclusive) == Verdict::Kind::already_ours);
  CHECK(kind(exclusive, Mode::shared) == Verdict::Kind::already_ours);
  CHECK(kind(shared, Mode::shared) == Verdict::Kind::already_ours);
  CHECK(kind(shared, Mode::exclusive) == Verdict::Kind::reentry);
}

TEST_CASE("--reentrant tries a lock that an ancestor only seems to have, and never goes on without it") {
  const core::VerifiedStack stack = {verified(Tier::per_pack, 1, Liveness::live_unproved)};
  for (const Mode mode : {Mode::exclusive, Mode::shared}) {
    CHECK(core::judge(stack, {Tier::per_pack, {{7, 1}}, {}, mode}, Reentrant::yes).kind == Verdict::Kind::seems_ours);
    CHECK(core::judge(stack, {Tier::per_pack, {{7, 1}}, {}, mode}, Reentrant::no).kind == Verdict::Kind::reentry);
  }
  CHECK(core::judge(stack, {Tier::per_pack, {{7, 2}}, {}, Mode::shared}, Reentrant::yes).kind ==
        Verdict::Kind::tier_violation);
}

TEST_CASE("the tier rule does not apply to files of the same lock that are taken before") {
  const core::VerifiedStack stack = {verified(Tier::per_pack, 1)};
  const auto kind = [&stack](const std::vector<sys::FileId>& before) {
    return core::judge(stack, {Tier::per_pack, {{7, 2}}, before, Mode::exclusive}, Reentrant::no).kind;
  };
  CHECK(kind({{7, 1}}) == Verdict::Kind::take);
  CHECK(kind({}) == Verdict::Kind::tier_violation);  // a flat file below the nested one
  CHECK(kind({{7, 3}}) == Verdict::Kind::tier_violation);
}

TEST_CASE("a stale entry forbids nothing, and proves nothing") {
  const core::VerifiedStack stack = {verified(Tier::manifest, 1, Liveness::stale)};
  CHECK(core::judge(stack, {Tier::workspace_sync, {{7, 1}}, {}, Mode::exclusive}, Reentrant::yes).kind ==
        Verdict::Kind::take);
}

TEST_CASE("of several entries for one file, a proved one decides") {
  const core::VerifiedStack stack = {verified(Tier::per_pack, 1, Liveness::live_unproved), verified(Tier::per_pack, 1)};
  CHECK(core::judge(stack, {Tier::per_pack, {{7, 1}}, {}, Mode::exclusive}, Reentrant::yes).kind ==
        Verdict::Kind::already_ours);
}

TEST_CASE("an entry with the path of a file that was removed, or replaced, is the same lock, but not a proof of it") {
  const core::VerifiedStack stack = {verified(Tier::per_pack, 1)};
  for (const bool is_replaced : {false, true}) {
    core::WantedFile wanted{Tier::per_pack, {}, {}, Mode::exclusive, {"/ws/lock-1"}};
    if (is_replaced) wanted.files = {{7, 9}};
    CHECK(judge(stack, wanted, Reentrant::no).kind == Verdict::Kind::reentry);
    CHECK(judge(stack, wanted, Reentrant::yes).kind == Verdict::Kind::seems_ours);
    wanted.tier = Tier::backend;
    CHECK(judge(stack, wanted, Reentrant::no).kind == Verdict::Kind::take);
  }
}

TEST_CASE("the tier rule does not apply to a file before it in the same lock that was restored") {
  const core::VerifiedStack stack = {verified(Tier::per_pack, 1)};
  core::WantedFile wanted{Tier::per_pack, {{7, 2}}, {{7, 9}}, Mode::exclusive, {"/ws/lock-2"}};
  CHECK(judge(stack, wanted, Reentrant::no).kind == Verdict::Kind::tier_violation);
  wanted.paths_before = {"/ws/lock-1"};
  CHECK(judge(stack, wanted, Reentrant::no).kind == Verdict::Kind::take);
}

TEST_CASE("an entry of a cluster's lock is read back unchanged, with and without a file") {
  StackEntry both = entry(Tier::per_pack, 1);
  both.cluster = core::ClusterEntry{"14841639068965178418", "ci", "it's \"a\"", "/grex-lock/ci/x", 639, "694d"};
  StackEntry alone = both;
  alone.path.clear();
  alone.file = {};
  const std::string text = core::to_text({both, alone});
  CHECK(text.find_first_of(" !'") == std::string::npos);
  const auto parsed = core::parse_tier_stack(text);
  REQUIRE(parsed);
  REQUIRE(parsed->size() == 2);
  CHECK((*parsed)[0].path == both.path);
  CHECK((*parsed)[1].path.empty());
  CHECK((*parsed)[1].shown_name() == "it's \"a\"");
  CHECK((*parsed)[1].cluster->token == 639U);
  CHECK(core::to_text(*parsed) == text);
}

TEST_CASE("an entry without a file needs a cluster's lock and a time, and no part of a file") {
  const std::string cluster =
      R"("cluster":{"engine":"etcd","id":"1","namespace":"ci","name":"a","key":"/k","token":7,"lease":"9"})";
  const std::string start = R"([{"tier":"per-pack","pid":42,"mode":"exclusive")";
  CHECK(core::parse_tier_stack(start + R"(,"taken":5,)" + cluster + "}]"));
  CHECK_FALSE(core::parse_tier_stack(start + R"(,"taken":5}])"));
  CHECK_FALSE(core::parse_tier_stack(start + "," + cluster + "}]"));
  CHECK_FALSE(core::parse_tier_stack(start + R"(,"taken":5,"dev":7,)" + cluster + "}]"));
  CHECK_FALSE(core::parse_tier_stack(start + R"(,"taken":5,"cluster":{"engine":"other"}}])"));
}

TEST_CASE("the same lock of a cluster has the same namespace, tier and name, whatever its file is") {
  VerifiedEntry held = verified(Tier::per_pack, 1);
  held.entry.cluster = core::ClusterEntry{"1", "ci", "app\xff", "/grex-lock/ci/per-pack/app%FF/x/9", 7, "9"};
  core::WantedFile wanted{Tier::per_pack, {}, {}, Mode::exclusive};
  wanted.cluster_ns = "ci";
  wanted.cluster_name = "app\xff";
  CHECK(core::judge({held}, wanted, Reentrant::no).kind == Verdict::Kind::reentry);
  CHECK(core::judge({held}, wanted, Reentrant::yes).kind == Verdict::Kind::already_ours);
  // Passed on in the environment, it has another byte in its name.
  const auto passed_on = core::parse_tier_stack(core::to_text({held.entry}));
  REQUIRE(passed_on);
  CHECK(core::judge({{passed_on->front(), Liveness::live_proved}}, wanted, Reentrant::no).kind ==
        Verdict::Kind::reentry);
  // Another name that is passed on as the same text.
  wanted.cluster_name = "app\xfe";
  CHECK(core::judge({held}, wanted, Reentrant::yes).kind == Verdict::Kind::tier_violation);
  CHECK(core::judge({{passed_on->front(), Liveness::live_proved}}, wanted, Reentrant::yes).kind ==
        Verdict::Kind::tier_violation);
  wanted.cluster_name = "app\xff";
  wanted.cluster_ns = "other";
  CHECK(core::judge({held}, wanted, Reentrant::no).kind == Verdict::Kind::tier_violation);
  // Its own file comes before it.
  wanted.before = {held.entry.file};
  CHECK(core::judge({held}, wanted, Reentrant::no).kind == Verdict::Kind::take);
}
