#include "core/inspect/search_holders.hpp"

#include <algorithm>
#include <functional>

#include "core/inspect/each_process.hpp"
#include "core/inspect/process_numbers.hpp"

namespace grex::core {
namespace {

class Search {
 public:
  Search(const std::vector<InspectedFile*>& held, const KernelView& view, const std::vector<Mount>& mounts,
         const StopToken& should_stop)
      : held_(held), view_(view), mounts_(mounts), should_stop_(should_stop) {
    for (const InspectedFile* inspected : held) inodes_.push_back(inspected->file.ino);
    std::sort(inodes_.begin(), inodes_.end());
  }

  // Returns false if it should stop.
  template <class Pids>
  bool look_at_all(const Pids& pids) {
    for (const pid_t pid : pids) {
      if (is_known(pid)) continue;
      if (is_enough_()) return false;
      look_at(pid);
    }
    return true;
  }

  void look_at_every_process() {
    const auto visit = [this](pid_t pid) { return is_known(pid) || look_at(pid); };
    searched_.is_complete = for_each_process(visit, is_enough_);
  }

  [[nodiscard]] const SearchedProcesses& searched() const { return searched_; }

 private:
  // A copy that this process inherited is of no interest.
  [[nodiscard]] bool is_known(pid_t pid) const {
    return pid == self_ || searched_.readable.contains(pid) || searched_.unreadable.contains(pid);
  }

  // Returns whether the process was still there.
  bool look_at(pid_t pid) {
    const auto descriptors = sys::descriptors_of(pid, should_stop_);
    const bool is_gone = !descriptors && presence_of(pid, Numbering::in_proc) == Presence::gone;
    bool was_read = descriptors || is_gone;
    for (const sys::OpenDescriptor& descriptor : descriptors.value_or(std::vector<sys::OpenDescriptor>())) {
      const bool is_hidden = descriptor.file == sys::FileId{};
      if (!is_hidden && !std::binary_search(inodes_.begin(), inodes_.end(), descriptor.file.ino)) continue;
      const auto info = sys::descriptor_info(descriptor);
      was_read = !is_hidden || info;
      if (!was_read) break;  // none of them may be looked at
      look_at(descriptor, info.value_or(""));
    }
    (was_read ? searched_.readable : searched_.unreadable).insert(pid);
    return !is_gone;
  }

  // A descriptor counts only if it has the lock: the same file may also be open without it.
  void look_at(const sys::OpenDescriptor& descriptor, const std::string& info) {
    const auto all_locks = parse_lock_table(info);
    const bool is_hidden = descriptor.file == sys::FileId{};
    for (InspectedFile* inspected : held_) {
      const bool is_its = is_hidden ? shows_lock_on(*inspected, all_locks) : inspected->file == descriptor.file;
      if (!is_its && (is_hidden || inspected->file.ino != descriptor.file.ino)) continue;
      const auto& listed = inspected->locks;
      if (!is_its && !listed.empty() && !may_be_on(listed.front().file.dev, descriptor.file.dev, info, mounts_)) {
        continue;
      }
      const auto locks = without_restored(all_locks, *inspected);
      DescriptorFacts& facts = is_its ? inspected->shown.ours : inspected->shown.others;
      facts.openers.insert(descriptor.pid);
      facts.locks.insert(facts.locks.end(), locks.begin(), locks.end());
      if (is_its && !locks.empty()) add(*inspected, descriptor, locks);
    }
  }

  // Without those of acquirers that have restored their lock.
  static std::vector<KernelLock> without_restored(std::vector<KernelLock> locks, const InspectedFile& inspected) {
    const auto is_restored = [&inspected](const KernelLock& lock) { return inspected.restored_by.contains(lock.pid); };
    std::erase_if(locks, is_restored);
    return locks;
  }

  // Whether a descriptor whose file may not be looked at shows a lock on this file.
  static bool shows_lock_on(const InspectedFile& inspected, const std::vector<KernelLock>& locks) {
    return !locks.empty() && !inspected.shares_number && locks.front().file == inspected.file;
  }

  // If the kernel's list has no lock for the file, or another device number, the
  // descriptor shows both.
  void add(InspectedFile& inspected, const sys::OpenDescriptor& descriptor, const std::vector<KernelLock>& locks) {
    inspected.holding.push_back(descriptor);
    if (inspected.locks.empty()) inspected.locks = view_.on(locks.front().file);
    if (locks.front().file != inspected.file) inspected.shares_number = true;
    if (std::none_of(inspected.locks.begin(), inspected.locks.end(), is_holder)) {
      inspected.locks.insert(inspected.locks.begin(), locks.begin(), locks.end());
    }
  }

  const std::vector<InspectedFile*>& held_;
  const KernelView& view_;
  const std::vector<Mount>& mounts_;
  const StopToken& should_stop_;
  const StopToken is_enough_ = after_first_few(should_stop_);
  const std::optional<pid_t> self_ = sys::own_pid_in_proc();
  std::vector<std::uint64_t> inodes_;
  SearchedProcesses searched_;
};

// The processes that took the locks, and those that wait for a lock that may be on
// another file.
std::set<pid_t> listed_processes(const std::vector<InspectedFile*>& held) {
  std::set<pid_t> pids;
  for (const InspectedFile* inspected : held) {
    std::vector<KernelLock> locks = inspected->locks;
    if (!inspected->shares_number) std::erase_if(locks, std::not_fn(is_holder));
    pids.merge(processes_in(locks));
  }
  return pids;
}

bool has_open_lock(const InspectedFile* inspected) { return !inspected->holding.empty(); }

void keep_own_locks(InspectedFile& inspected, const KernelView& view) {
  if (!inspected.shares_number || inspected.locks.empty()) return;
  const bool is_complete = view.is_complete_for(inspected.locks.front().file);
  inspected.locks = attribute(inspected.locks, inspected.shown, is_complete ? Listing::complete : Listing::incomplete);
  // What a descriptor shows comes from the kernel, too.
  if (!inspected.holding.empty()) inspected.report.evidence = Evidence::kernel;
}

}  // namespace

SearchedProcesses search_holders(const std::vector<InspectedFile*>& held, const KernelView& view,
                                 const std::vector<Mount>& mounts, const HolderSearch& options) {
  Search search(held, view, mounts, options.should_stop);
  const bool goes_on = search.look_at_all(listed_processes(held));
  const bool is_enough =
      options.extent == HolderSearch::Extent::acquirers && std::all_of(held.begin(), held.end(), has_open_lock);
  if (goes_on && !is_enough) search.look_at_every_process();
  for (InspectedFile* inspected : held) keep_own_locks(*inspected, view);
  return search.searched();
}

}  // namespace grex::core
