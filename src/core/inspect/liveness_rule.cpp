#include "core/inspect/liveness_rule.hpp"

namespace grex::core {
namespace {

bool is_unlocked(const EntryFacts& facts) {
  return facts.was_free || (facts.listed == EntryFacts::Listed::nothing && facts.list_is_complete);
}

bool is_anothers(const EntryFacts& facts) {
  return facts.listed == EntryFacts::Listed::another_number || facts.recorded == EntryFacts::Recorded::another_process;
}

}  // namespace

bool has_ended(EntryFacts::Process process) {
  return process == EntryFacts::Process::zombie || process == EntryFacts::Process::gone ||
         process == EntryFacts::Process::another;
}

Liveness decide(const EntryFacts& facts) {
  if (facts.descriptor == EntryFacts::Descriptor::holds_lock) return Liveness::live_proved;
  if (is_unlocked(facts) || facts.device == EntryFacts::Device::not_mounted) return Liveness::stale;
  if (facts.numbers == EntryFacts::Numbers::not_comparable) return Liveness::live_unproved;
  if (is_anothers(facts)) return Liveness::stale;
  if (has_ended(facts.process) && !facts.is_open_elsewhere) return Liveness::stale;
  return Liveness::live_unproved;
}

}  // namespace grex::core
