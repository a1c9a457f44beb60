// GREX_LOCK_STACK, which any program may have set.

#include "core/lock/tier_stack.hpp"

#include <algorithm>

#include "fuzz.hpp"

using namespace grex;
using core::Liveness;
using core::Reentrant;
using core::Verdict;
using fuzz::require;

namespace {

bool is_same(const core::StackEntry& a, const core::StackEntry& b) {
  return a.tier == b.tier && a.path == b.path && a.file == b.file && a.pid == b.pid && a.mode == b.mode &&
         a.taken == b.taken;
}

void check_text(const core::TierStack& stack) {
  const std::string text = core::to_text(stack);
  require(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  // An escape may be longer than what it stands for.
  if (text.size() > core::longest_stack_text) return;
  const auto again = core::parse_tier_stack(text);
  require(again && std::equal(again->begin(), again->end(), stack.begin(), stack.end(), is_same));
}

void check_verdict(const core::VerifiedStack& stack, core::Tier tier, const std::vector<sys::FileId>& files,
                   sys::Mode mode, Reentrant reentrant) {
  const Verdict verdict = core::judge(stack, {tier, files, {}, mode}, reentrant);
  const auto is_wanted = [&files](const core::VerifiedEntry& verified) {
    return is_live(verified.liveness) && std::find(files.begin(), files.end(), verified.entry.file) != files.end();
  };
  const auto is_not_below = [tier](const core::VerifiedEntry& verified) {
    return is_live(verified.liveness) && verified.entry.tier >= tier;
  };
  const bool is_held = std::any_of(stack.begin(), stack.end(), is_wanted);
  require((verdict.because == nullptr) == (verdict.kind == Verdict::Kind::take));
  const auto because = std::find_if(stack.begin(), stack.end(), [&verdict](const core::VerifiedEntry& verified) {
    return &verified == verdict.because;
  });
  require((verdict.because == nullptr) == (because == stack.end()));
  switch (verdict.kind) {
    case Verdict::Kind::take:
      require(!is_held && std::none_of(stack.begin(), stack.end(), is_not_below));
      break;
    case Verdict::Kind::already_ours:
      require(is_wanted(*because) && reentrant == Reentrant::yes && because->liveness == Liveness::live_proved);
      require(because->entry.mode == sys::Mode::exclusive || mode == sys::Mode::shared);
      break;
    case Verdict::Kind::seems_ours:
      require(is_wanted(*because) && reentrant == Reentrant::yes && because->liveness == Liveness::live_unproved);
      break;
    case Verdict::Kind::reentry:
      require(is_wanted(*because));
      break;
    case Verdict::Kind::tier_violation:
      require(!is_held && is_not_below(*because));
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto stack = core::parse_tier_stack(fuzz::text_of(data, size));
  if (!stack) {
    require(size > 0 && stack.error().kind == ErrorKind::stack);
    return 0;
  }
  for (const core::StackEntry& entry : *stack) require(entry.pid > 0 && !entry.path.empty());
  check_text(*stack);
  std::vector<sys::FileId> files = {{1, 1}};
  if (!stack->empty()) files.push_back(stack->back().file);
  // Each entry with another verdict, and each verdict with other entries.
  core::VerifiedStack verified;
  for (const core::StackEntry& entry : *stack) {
    verified.push_back({entry, static_cast<Liveness>((size + verified.size()) % 3)});
  }
  for (const core::Tier tier : core::all_tiers) {
    for (const sys::Mode mode : {sys::Mode::exclusive, sys::Mode::shared}) {
      for (const Reentrant reentrant : {Reentrant::no, Reentrant::yes}) {
        check_verdict(verified, tier, {}, mode, reentrant);
        check_verdict(verified, tier, files, mode, reentrant);
      }
    }
  }
  return 0;
}
