// GREX_LOCK_STACK, which any program may have set.

#include "core/lock/tier_stack.hpp"

#include <algorithm>

#include "fuzz.hpp"

using namespace grex;
using core::Reentrant;
using core::Verdict;
using fuzz::require;

namespace {

bool is_same(const core::StackEntry& a, const core::StackEntry& b) {
  return a.tier == b.tier && a.path == b.path && a.file == b.file && a.pid == b.pid && a.mode == b.mode;
}

void check_text(const core::TierStack& stack) {
  const std::string text = core::to_text(stack);
  require(std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; }));
  // An escape may be longer than what it stands for.
  if (text.size() > core::longest_stack_text) return;
  const auto again = core::parse_tier_stack(text);
  require(again && std::equal(again->begin(), again->end(), stack.begin(), stack.end(), is_same));
}

void check_verdict(const core::TierStack& stack, core::Tier tier, const std::vector<sys::FileId>& files, sys::Mode mode,
                   Reentrant reentrant) {
  const Verdict verdict = core::judge(stack, tier, files, mode, reentrant);
  const auto is_wanted = [&files](const core::StackEntry& entry) {
    return std::find(files.begin(), files.end(), entry.file) != files.end();
  };
  const auto is_not_below = [tier](const core::StackEntry& entry) { return entry.tier >= tier; };
  const bool is_held = std::any_of(stack.begin(), stack.end(), is_wanted);
  const core::StackEntry* const because = verdict.because;
  require((because == nullptr) == (verdict.kind == Verdict::Kind::take));
  require(because == nullptr || (because >= stack.data() && because < stack.data() + stack.size()));
  switch (verdict.kind) {
    case Verdict::Kind::take:
      require(!is_held && std::none_of(stack.begin(), stack.end(), is_not_below));
      break;
    case Verdict::Kind::already_ours:
      require(is_wanted(*because) && reentrant == Reentrant::yes);
      require(because->mode == sys::Mode::exclusive || mode == sys::Mode::shared);
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
  for (const core::Tier tier : core::all_tiers) {
    for (const sys::Mode mode : {sys::Mode::exclusive, sys::Mode::shared}) {
      for (const Reentrant reentrant : {Reentrant::no, Reentrant::yes}) {
        check_verdict(*stack, tier, {}, mode, reentrant);
        check_verdict(*stack, tier, files, mode, reentrant);
      }
    }
  }
  return 0;
}
