// The rule that decides whether an entry of the tier stack is live, in any combination of
// facts.

#include "core/inspect/liveness_rule.hpp"
#include "fuzz.hpp"

using namespace grex;
using core::EntryFacts;
using core::Liveness;
using fuzz::require;

namespace {

// Takes a value of an enumeration with this many from the input.
template <class Enum>
void choose(Enum& value, int count, const std::uint8_t*& data, const std::uint8_t* end) {
  if (data != end) value = static_cast<Enum>(*data++ % count);
}

EntryFacts facts_from(const std::uint8_t* data, std::size_t size) {
  const std::uint8_t* const end = data + size;
  EntryFacts facts;
  choose(facts.descriptor, 2, data, end);
  choose(facts.listed, 5, data, end);
  choose(facts.list_is_complete, 2, data, end);
  choose(facts.was_free, 2, data, end);
  choose(facts.device, 3, data, end);
  choose(facts.recorded, 2, data, end);
  choose(facts.process, 5, data, end);
  choose(facts.numbers, 2, data, end);
  choose(facts.is_open_elsewhere, 2, data, end);
  return facts;
}

// The verdict with one of the facts changed.
template <class Value>
Liveness with(EntryFacts facts, Value EntryFacts::*fact, Value value) {
  facts.*fact = value;
  return core::decide(facts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const EntryFacts facts = facts_from(data, size);
  const Liveness verdict = core::decide(facts);
  // A descriptor is the only proof, and nothing speaks against it.
  require((verdict == Liveness::live_proved) == (facts.descriptor == EntryFacts::Descriptor::holds_lock));
  if (verdict == Liveness::live_proved) return 0;

  // What isn't known makes nothing stale.
  const auto stays_live = [verdict](Liveness other) { return !is_live(verdict) || is_live(other); };
  require(stays_live(with(facts, &EntryFacts::listed, EntryFacts::Listed::not_known)));
  require(stays_live(with(facts, &EntryFacts::list_is_complete, false)));
  require(stays_live(with(facts, &EntryFacts::was_free, false)));
  require(stays_live(with(facts, &EntryFacts::device, EntryFacts::Device::not_known)));
  require(stays_live(with(facts, &EntryFacts::recorded, EntryFacts::Recorded::not_known)));
  require(stays_live(with(facts, &EntryFacts::process, EntryFacts::Process::not_known)));
  require(stays_live(with(facts, &EntryFacts::numbers, EntryFacts::Numbers::not_comparable)));
  require(stays_live(with(facts, &EntryFacts::is_open_elsewhere, true)));

  // These always make an entry stale that no descriptor proves.
  require(with(facts, &EntryFacts::was_free, true) == Liveness::stale);
  require(with(facts, &EntryFacts::device, EntryFacts::Device::not_mounted) == Liveness::stale);
  if (facts.numbers == EntryFacts::Numbers::comparable) {
    require(with(facts, &EntryFacts::listed, EntryFacts::Listed::another_number) == Liveness::stale);
    require(with(facts, &EntryFacts::recorded, EntryFacts::Recorded::another_process) == Liveness::stale);
  } else {
    // A number that may be another process's here says nothing.
    const Liveness gone = with(facts, &EntryFacts::process, EntryFacts::Process::gone);
    require(gone == with(facts, &EntryFacts::process, EntryFacts::Process::same));
  }
  return 0;
}
