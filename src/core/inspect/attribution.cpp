#include "core/inspect/attribution.hpp"

#include <algorithm>
#include <cstddef>

namespace grex::core {
namespace {

enum class Whose { ours, others, unknown };

Whose whose(bool is_ours, bool is_others) {
  if (is_ours == is_others) return Whose::unknown;
  return is_ours ? Whose::ours : Whose::others;
}

// A process with a lock on each of two files has the same line twice.
bool is_on_ours(const KernelLock& holder, const SharedNumber& shown) { return contains(shown.ours.locks, holder); }

bool may_be_on_ours(const KernelLock& holder, const SharedNumber& shown) {
  return is_holder(holder) && !is_on_ours(holder, shown) && !contains(shown.others.locks, holder);
}

// Whether the only holder that can't be attributed must be the one of our file.
bool counts_unattributed(const std::vector<KernelLock>& listed, const SharedNumber& shown, Listing listing) {
  return listing == Listing::complete && shown.ours.locks.empty() &&
         std::count_if(listed.begin(), listed.end(),
                       [&shown](const KernelLock& lock) { return may_be_on_ours(lock, shown); }) == 1;
}

// A process that waits for a file has it open.
Whose whose_wait(const KernelLock& waiter, const SharedNumber& shown) {
  return whose(shown.ours.openers.contains(waiter.pid), shown.others.openers.contains(waiter.pid));
}

}  // namespace

std::vector<KernelLock> attribute(const std::vector<KernelLock>& listed, const SharedNumber& shown, Listing listing) {
  const bool takes_unattributed = counts_unattributed(listed, shown, listing);
  std::vector<KernelLock> attributed;
  bool is_behind_ours = false;  // the kernel lists waiters after the lock that they wait for
  for (const KernelLock& lock : listed) {
    if (is_holder(lock)) {
      const bool counts = is_on_ours(lock, shown) || (takes_unattributed && may_be_on_ours(lock, shown));
      is_behind_ours = counts;
      if (counts) attributed.push_back(lock);
      continue;
    }
    const Whose wait = whose_wait(lock, shown);
    if (wait == Whose::ours || (wait == Whose::unknown && is_behind_ours)) attributed.push_back(lock);
  }
  return attributed;
}

std::set<pid_t> processes_in(const std::vector<KernelLock>& listed) {
  std::set<pid_t> pids;
  for (const KernelLock& lock : listed) {
    if (lock.pid > 0) pids.insert(lock.pid);
  }
  return pids;
}

}  // namespace grex::core
