// Whether an entry of the tier stack is live: each row of the table.

#include <doctest/doctest.h>

#include "core/inspect/liveness_rule.hpp"

using namespace grex;
using core::decide;
using core::EntryFacts;
using core::Liveness;
using Listed = core::EntryFacts::Listed;
using Process = core::EntryFacts::Process;

namespace {

// On the host, the kernel lists the entry's number, and its process runs.
EntryFacts listed_facts() {
  EntryFacts facts;
  facts.listed = Listed::entrys_number;
  facts.list_is_complete = true;
  facts.device = EntryFacts::Device::mounted;
  facts.process = Process::same;
  facts.numbers = EntryFacts::Numbers::comparable;
  return facts;
}

template <class Value>
EntryFacts with(EntryFacts facts, Value EntryFacts::*fact, Value value) {
  facts.*fact = value;
  return facts;
}

EntryFacts ended_facts(Process process) { return with(listed_facts(), &EntryFacts::process, process); }

}  // namespace

TEST_CASE("a descriptor of this process or of an ancestor proves an entry, whatever else is known") {
  const auto prove = [](const EntryFacts& facts) {
    return decide(with(facts, &EntryFacts::descriptor, EntryFacts::Descriptor::holds_lock));
  };
  CHECK(prove({}) == Liveness::live_proved);
  CHECK(prove(listed_facts()) == Liveness::live_proved);
  CHECK(prove(ended_facts(Process::gone)) == Liveness::live_proved);
  CHECK(prove(with(listed_facts(), &EntryFacts::listed, Listed::another_number)) == Liveness::live_proved);
  CHECK(prove(with(listed_facts(), &EntryFacts::was_free, true)) == Liveness::live_proved);
}

TEST_CASE("an entry of which nothing is known is live, but not proved") {
  CHECK(decide({}) == Liveness::live_unproved);
}

TEST_CASE("the entry's number in the kernel's list proves nothing") {
  CHECK(decide(listed_facts()) == Liveness::live_unproved);
}

TEST_CASE("an entry is stale if its file is not locked") {
  CHECK(decide(with(listed_facts(), &EntryFacts::listed, Listed::nothing)) == Liveness::stale);
  CHECK(decide(with({}, &EntryFacts::was_free, true)) == Liveness::stale);
}

TEST_CASE("a list that shows no holder, but may be incomplete, makes no entry stale") {
  CHECK(decide(with({}, &EntryFacts::listed, Listed::nothing)) == Liveness::live_unproved);
}

TEST_CASE("an entry is stale if its device is in no mount") {
  CHECK(decide(with({}, &EntryFacts::device, EntryFacts::Device::not_mounted)) == Liveness::stale);
  CHECK(decide(with(listed_facts(), &EntryFacts::device, EntryFacts::Device::not_known)) == Liveness::live_unproved);
}

TEST_CASE("an entry is stale if another process holds the lock exclusively, even if its own process runs") {
  CHECK(decide(with(listed_facts(), &EntryFacts::listed, Listed::another_number)) == Liveness::stale);
  CHECK(decide(with(listed_facts(), &EntryFacts::recorded, EntryFacts::Recorded::another_process)) == Liveness::stale);
}

TEST_CASE("sharers say nothing about an entry") {
  CHECK(decide(with(listed_facts(), &EntryFacts::listed, Listed::sharers)) == Liveness::live_unproved);
}

TEST_CASE("an entry is stale if its process is a zombie, gone or another one") {
  for (const Process process : {Process::zombie, Process::gone, Process::another}) {
    CHECK(decide(ended_facts(process)) == Liveness::stale);
  }
}

TEST_CASE("an entry whose process has ended stays live while a process that can be seen has its lock open") {
  for (const Process process : {Process::zombie, Process::gone, Process::another}) {
    CHECK(decide(with(ended_facts(process), &EntryFacts::is_open_elsewhere, true)) == Liveness::live_unproved);
  }
}

TEST_CASE("numbers of another PID namespace make no entry stale") {
  const auto hide = [](const EntryFacts& facts) {
    return decide(with(facts, &EntryFacts::numbers, EntryFacts::Numbers::not_comparable));
  };
  CHECK(hide(ended_facts(Process::gone)) == Liveness::live_unproved);
  CHECK(hide(with(listed_facts(), &EntryFacts::listed, Listed::another_number)) == Liveness::live_unproved);
  CHECK(hide(with(listed_facts(), &EntryFacts::recorded, EntryFacts::Recorded::another_process)) ==
        Liveness::live_unproved);
  CHECK(hide(with(listed_facts(), &EntryFacts::listed, Listed::nothing)) == Liveness::stale);
}
