#include "core/inspect/liveness.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/record_writer.hpp"
#include "core/lock/held_lock.hpp"
#include "core/lock/record.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

using Listed = EntryFacts::Listed;
using Process = EntryFacts::Process;
using Recorded = EntryFacts::Recorded;

// The lock that a process has on a file, if its descriptors can be read.
std::optional<KernelLock> lock_on(sys::FileId file, pid_t pid, const StopToken& should_stop) {
  const auto locks = locks_on(file, pid, should_stop);
  return locks.empty() ? std::nullopt : std::optional(locks.front());
}

// The modes of the locks that are proved; nullopt for a file without a proof so far.
using Proofs = std::map<sys::FileId, std::optional<sys::Mode>>;

bool lacks_proof(const Proofs& proofs) {
  return std::any_of(proofs.begin(), proofs.end(), [](const auto& proof) { return !proof.second; });
}

void add_proofs(Proofs& proofs, pid_t pid, const StopToken& should_stop) {
  for (const sys::OpenDescriptor& open :
       sys::descriptors_of(pid, should_stop).value_or(std::vector<sys::OpenDescriptor>())) {
    const auto wanted = proofs.find(open.file);
    if (wanted == proofs.end() || wanted->second) continue;
    const auto locks = locks_on(open);
    if (locks && !locks->empty()) wanted->second = locks->front().mode;
  }
}

Proofs find_proofs(const TierStack& stack, const StopToken& should_stop) {
  Proofs proofs;
  for (const StackEntry& entry : stack) {
    if (!entry.path.empty()) proofs.try_emplace(entry.file);
  }
  add_proofs(proofs, sys::own_process, should_stop);
  if (!lacks_proof(proofs)) return proofs;
  for (const pid_t pid : ancestors(sys::own_process)) {
    if (is_ours_or_roots(pid)) add_proofs(proofs, pid, should_stop);
    if (!lacks_proof(proofs) || should_stop()) break;
  }
  return proofs;
}

// Opens the file of an entry. The environment alone is no reason to open a file: opening a
// device may have effects.
std::optional<sys::LockFile> open_file(const StackEntry& entry, sys::OpenFor purpose) {
  const auto named = sys::status_of(entry.path);
  if (!named || named->type != sys::FileType::regular || named->id != entry.file) return std::nullopt;
  auto file = sys::open_lock_file(entry.path, purpose);
  if (!file || file->id != entry.file || file->is_leased) return std::nullopt;
  return std::move(*file);
}

enum class Tried { free, busy, not_known };

Tried try_file(const StackEntry& entry) {
  auto file = open_file(entry, sys::OpenFor::reading);
  if (!file) return Tried::not_known;
  const auto outcome = sys::try_lock(*file, sys::Mode::exclusive,
                                     [&entry] { return sys::open_lock_file(entry.path, sys::OpenFor::writing); });
  if (!outcome) return Tried::not_known;
  return *outcome == sys::Acquire::held ? Tried::free : Tried::busy;
}

// The processes of entries, each looked at once: several entries are those of one process.
class Processes {
 public:
  Process find(const StackEntry& entry) {
    const auto [seen, is_new] = seen_.try_emplace(entry.pid);
    if (is_new) seen->second = look_at(entry.pid);
    const auto& [presence, started] = seen->second;
    if (presence == Presence::gone) return Process::gone;
    if (presence == Presence::zombie) return Process::zombie;
    return started ? compare_start(entry, *started) : Process::not_known;
  }

 private:
  struct Seen {
    Presence presence = Presence::not_known;
    std::optional<std::int64_t> started;  // as the clock of the process shows it, which wrote the time in the entry
  };

  static Seen look_at(pid_t pid) {
    const Presence presence = presence_of(pid, Numbering::here);
    const auto started = presence == Presence::running ? start_time_ns(pid) : std::nullopt;
    return {presence, started ? std::optional(*started - boot_offset_from(pid)) : std::nullopt};
  }

  std::map<pid_t, Seen> seen_;
};

// What this process looks at, at most once, for entries that no descriptor proves.
struct Surroundings {
  explicit Surroundings(const StopToken& stop) : should_stop(stop) {}
  const StopToken& should_stop;
  std::vector<Mount> mounts = visible_mounts();
  KernelView view = KernelView::take(mounts, should_stop);
  ProcessNumbers numbers = ProcessNumbers::read();
  Processes processes;
};

bool is_mounted(std::uint64_t device, const std::vector<Mount>& mounts) {
  return std::any_of(mounts.begin(), mounts.end(), [device](const Mount& mount) { return mount.device == device; });
}

// Whether the list must show a lock on the entry's file if there is one. If its device is in
// no mount, the list shows it by its inode number, and the device of its subvolume's mount.
bool must_list(const KernelView& view, const StackEntry& entry, const std::vector<Mount>& mounts) {
  if (view.is_complete_for(entry.file)) return true;
  if (!view.has_all() || mounts.empty() || is_mounted(entry.file.dev, mounts)) return false;
  return std::none_of(view.all().begin(), view.all().end(),
                      [&entry](const KernelLock& lock) { return lock.file.ino == entry.file.ino; });
}

void look_at_list(EntryFacts& facts, const StackEntry& entry, const KernelView& view, const std::vector<Mount>& mounts,
                  const ProcessNumbers& numbers) {
  facts.listed = find_listed(entry, view, numbers);
  facts.list_is_complete = must_list(view, entry, mounts);
}

// If the list shows no holder, but may be incomplete, tries the lock. If that finds one,
// it may have come after the list was read, so the list is read again. By then that holder
// may be gone, and so on.
void look_at_lock(EntryFacts& facts, const StackEntry& entry, const Surroundings& around) {
  constexpr int max_tries = 4;
  look_at_list(facts, entry, around.view, around.mounts, around.numbers);
  const bool is_leased = around.view.lease_holder(entry.file).has_value();  // opening it would break the lease
  for (int i = 0; i < max_tries && facts.listed == Listed::nothing && !facts.list_is_complete && !is_leased; ++i) {
    const Tried tried = try_file(entry);
    facts.was_free = tried == Tried::free;
    if (tried != Tried::busy) return;
    look_at_list(facts, entry, KernelView::take(around.mounts, around.should_stop), around.mounts, around.numbers);
  }
}

// A record is advice. It counts if its writer is seen to hold the lock, and alone.
Recorded find_recorded(const StackEntry& entry, Surroundings& around) {
  if (!around.numbers.has_own_proc() || around.view.lease_holder(entry.file)) return Recorded::not_known;
  const auto file = open_file(entry, sys::OpenFor::reading);
  const auto record = file ? record_in(*file, entry.path) : std::nullopt;
  if (!record || record->release || record->writer.boot_id != sys::boot_id()) return Recorded::not_known;
  if (record->writer.pid_ns != sys::process_link(sys::own_process, "ns/pid")) return Recorded::not_known;
  const pid_t writer = record->writer.pid;
  if (writer == entry.pid && around.processes.find(entry) == Process::same) return Recorded::not_known;
  const bool is_there =
      presence_of(writer, Numbering::in_proc) == Presence::running && is_writer(*record, writer) == Match::yes;
  const auto lock = is_there ? lock_on(entry.file, writer, around.should_stop) : std::nullopt;
  return lock && lock->mode == sys::Mode::exclusive ? Recorded::another_process : Recorded::not_known;
}

// Whether a process has the lock that the entry's process took before it ended. A process
// that has its number now may have taken the lock itself; then only processes that are
// older than it can have inherited the entry's.
bool is_inherited_by_any(const StackEntry& entry, Process process, const Surroundings& around) {
  constexpr std::int64_t any_time = std::numeric_limits<std::int64_t>::max();
  const std::int64_t started_before =
      process == Process::another ? start_time_ns(entry.pid).value_or(any_time) : any_time;
  const auto pids = sys::processes();
  if (!pids) return true;  // not known, so the entry stays live
  return std::any_of(pids->begin(), pids->end(), [&](pid_t pid) {
    const auto lock = lock_on(entry.file, pid, around.should_stop);
    if (around.should_stop()) return true;  // the same
    if (!lock || (lock->pid > 0 && around.numbers.here(lock->pid).value_or(entry.pid) != entry.pid)) return false;
    return started_before == any_time || start_time_ns(pid).value_or(0) < started_before;
  });
}

// Finds out about an entry that no descriptor proves.
EntryFacts find_facts(const StackEntry& entry, Surroundings& around) {
  EntryFacts facts;
  look_at_lock(facts, entry, around);
  facts.device = find_device(entry, around.mounts, around.view);
  const auto named = sys::status_of(entry.path);
  if (named && named->type != sys::FileType::absent && named->id.dev == entry.file.dev) {
    facts.device = EntryFacts::Device::mounted;
  }
  if (around.numbers.are_comparable(entry)) {
    facts.numbers = EntryFacts::Numbers::comparable;
    facts.process = around.processes.find(entry);
  }
  // Looking at the record or at all processes takes time, and must change something.
  facts.is_open_elsewhere = true;
  if (decide(facts) == Liveness::stale || facts.numbers == EntryFacts::Numbers::not_comparable) return facts;
  // The process that took the lock is there, and in the list: a record knows no better.
  if (facts.listed == Listed::entrys_number && facts.process == Process::same) return facts;
  facts.recorded = find_recorded(entry, around);
  if (has_ended(facts.process)) facts.is_open_elsewhere = is_inherited_by_any(entry, facts.process, around);
  return facts;
}

// Of a lock that only a cluster keeps, there is nothing to look at but its process, which ends
// the command below if it loses the lock.
Liveness verify_by_process(const StackEntry& entry) {
  const Process process = ProcessNumbers::read().are_comparable(entry) ? Processes().find(entry) : Process::not_known;
  if (has_ended(process)) return Liveness::stale;
  const auto above = process == Process::same ? ancestors(sys::own_process) : std::vector<pid_t>();
  const bool is_ancestor = std::find(above.begin(), above.end(), entry.pid) != above.end();
  return is_ancestor && is_ours_or_roots(entry.pid) ? Liveness::live_proved : Liveness::live_unproved;
}

sys::Mode weaker(sys::Mode a, sys::Mode b) { return a == sys::Mode::shared ? a : b; }

}  // namespace

EntryFacts::Device find_device(const StackEntry& entry, const std::vector<Mount>& mounts, const KernelView& view) {
  using Device = EntryFacts::Device;
  const std::uint64_t device = entry.file.dev;
  if (is_mounted(device, mounts)) return Device::mounted;
  if (mounts.empty()) return Device::not_known;
  // A subvolume, or a layer, has an anonymous device: one without a driver (fs/super.c,
  // get_anon_bdev).
  const bool is_anonymous = gnu_dev_major(device) == 0;
  if (!is_anonymous || std::none_of(mounts.begin(), mounts.end(), has_further_devices)) return Device::not_mounted;
  const auto& listed = view.all();
  const auto is_of_superblock = [device](const KernelLock& lock) { return lock.file.dev == device; };
  const bool is_superblock = std::any_of(listed.begin(), listed.end(), is_of_superblock);
  return is_superblock ? Device::not_mounted : Device::not_known;
}

Listed find_listed(const StackEntry& entry, const KernelView& view, const ProcessNumbers& numbers) {
  auto locks = view.on(entry.file);
  std::erase_if(locks, [](const KernelLock& lock) { return !is_holder(lock); });
  if (locks.empty()) return view.is_cut() ? Listed::not_known : Listed::nothing;
  const auto is_exclusive = [](const KernelLock& lock) { return lock.mode == sys::Mode::exclusive; };
  if (std::none_of(locks.begin(), locks.end(), is_exclusive)) return Listed::sharers;
  Listed listed = Listed::another_number;
  for (const KernelLock& lock : locks) {
    const auto number = lock.pid > 0 ? numbers.here(lock.pid) : std::nullopt;
    if (number == entry.pid) return Listed::entrys_number;
    if (!number) listed = Listed::not_known;
  }
  return listed;
}

Process compare_start(const StackEntry& entry, std::int64_t started_ns) {
  return entry.taken && std::cmp_greater(started_ns, *entry.taken) ? Process::another : Process::same;
}

VerifiedStack verify(const TierStack& stack, const StopToken& should_stop) {
  VerifiedStack verified;
  if (stack.empty()) return verified;
  const Proofs proofs = find_proofs(stack, should_stop);
  std::optional<Surroundings> around;
  for (const StackEntry& entry : stack) {
    if (entry.path.empty()) {
      verified.push_back({entry, verify_by_process(entry)});
      continue;
    }
    EntryFacts facts;
    const auto proved = proofs.at(entry.file);
    if (proved) {
      facts.descriptor = EntryFacts::Descriptor::holds_lock;
    } else {
      if (!around) around.emplace(should_stop);
      facts = find_facts(entry, *around);
    }
    verified.push_back({entry, decide(facts)});
    if (proved) verified.back().entry.mode = weaker(entry.mode, *proved);
  }
  return verified;
}

void find_restored(VerifiedStack& stack, const WantedFile& wanted) {
  const auto is_in = [](const auto& list, const auto& value) {
    return std::find(list.begin(), list.end(), value) != list.end();
  };
  for (VerifiedEntry& verified : stack) {
    const StackEntry& entry = verified.entry;
    const bool is_named = entry.tier == wanted.tier && is_in(wanted.paths, entry.path);
    if (!is_named || is_in(wanted.files, entry.file) || !is_live(verified.liveness)) continue;
    TierStack restored;
    for (const sys::FileId file : wanted.files) {
      restored.push_back(entry);
      restored.back().file = file;
    }
    const StopToken should_stop = stop_after(std::chrono::seconds(1));
    const Proofs proofs = find_proofs(restored, should_stop);
    for (const auto& [file, mode] : proofs) {
      if (!mode) continue;
      verified = {entry, Liveness::live_proved};
      verified.entry.file = file;
      verified.entry.mode = weaker(entry.mode, *mode);
      break;
    }
  }
}

}  // namespace grex::core
