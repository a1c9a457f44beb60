#include "core/inspect/remaining.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/deadline.hpp"
#include "base/stop_token.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

constexpr std::chrono::milliseconds time_to_end(100);

// For reading /proc, where any user can make processes and descriptors many.
constexpr std::chrono::seconds time_to_read(1);

bool has_lock(const sys::OpenDescriptor& descriptor, const std::vector<HeldLock>& locks) {
  const bool is_ours = std::any_of(locks.begin(), locks.end(),
                                   [&descriptor](const HeldLock& lock) { return lock.file() == descriptor.file; });
  if (!is_ours) return false;
  const auto found = locks_on(descriptor);
  return !found || !found->empty();
}

// Whether a process may be a descendant of the command, which started after us. Unknown
// counts as a yes.
bool may_be_descendant(pid_t pid) {
  const auto we_started = start_time_ns(sys::own_process);
  const auto started = start_time_ns(pid);
  const bool is_older = we_started && started && *started < *we_started;
  if (is_older) return false;
  const std::vector<pid_t> above_us = ancestors(sys::own_process);  // one of them may have started at the same time
  return std::find(above_us.begin(), above_us.end(), pid) == above_us.end();
}

enum class Fate { has_lock, has_none, has_ended };

Fate fate_of(pid_t pid, const std::vector<HeldLock>& locks, const StopToken& should_stop) {
  const Presence presence = presence_of(pid, Numbering::in_proc);
  const bool has_no_main_thread = presence == Presence::zombie;
  if (presence == Presence::gone) return Fate::has_ended;
  if (has_no_main_thread && sys::thread_count(pid).value_or(0) <= 1) return Fate::has_ended;
  const auto descriptors = sys::descriptors_of(pid, should_stop);
  if (descriptors && !has_no_main_thread) {
    const bool has_it = std::any_of(descriptors->begin(), descriptors->end(),
                                    [&locks](const sys::OpenDescriptor& open) { return has_lock(open, locks); });
    return has_it ? Fate::has_lock : Fate::has_none;
  }
  if (presence_of(pid, Numbering::in_proc) == Presence::gone) return Fate::has_ended;
  return may_be_descendant(pid) ? Fate::has_lock : Fate::has_none;
}

// Whether /proc may hide a process that the command has started as another user. Root
// sees all.
bool may_be_hidden() {
  if (sys::effective_uid() == 0) return false;
  const auto place = sys::place_of("/proc");
  const std::vector<Mount> mounts = visible_mounts();
  const Mount* const proc = place ? find_mount(place->mount, mounts) : nullptr;
  return proc == nullptr || hides_processes(*proc);
}

// Looks at all processes, again and again.
class Search {
 public:
  Search(const std::vector<HeldLock>& locks, pid_t session, StopToken should_stop)
      : locks_(locks), session_(session), should_stop_(std::move(should_stop)) {}

  struct Pass {
    std::vector<pid_t> found;
    /// Whether there are surely no others. A process that ended after the list was read
    /// may have started one that is not in the list.
    bool is_complete = true;
    bool was_stopped = false;
  };

  Pass look() {
    Pass pass;
    const auto listed = sys::processes();
    if (!listed || !self_) return {{}, false, false};  // /proc may show others' processes, but not ours
    for (const pid_t pid : *listed) {
      if (pid == self_) continue;
      const bool is_in_session = may_be_in_session(pid);
      const Fate fate = is_in_session ? fate_of(pid, locks_, should_stop_) : Fate::has_none;
      if (should_stop_()) return {std::move(pass.found), false, true};
      if (fate == Fate::has_lock) pass.found.push_back(pid);
      if (fate == Fate::has_ended && !harmless_.contains(pid)) pass.is_complete = false;
      // A zombie, or a process of another session, starts none that counts.
      if (fate == Fate::has_ended || !is_in_session) harmless_.insert(pid);
    }
    return pass;
  }

  // Waits until those that were found have ended; a moment if the kernel can't report the
  // end of one.
  void wait_for_ends(const std::vector<pid_t>& pids, Deadline deadline) const {
    constexpr std::chrono::milliseconds moment(5);
    for (const pid_t pid : pids) {
      const pid_t here = numbers_.here(pid).value_or(0);
      const auto process = sys::open_process(here);
      if (process) {
        sys::wait_for_end(process->get(), deadline);
      } else if (here <= 0 || process.error().kind != ErrorKind::not_found) {
        std::this_thread::sleep_until(std::min(deadline, Deadline::clock::now() + moment));
        return;
      }
    }
  }

 private:
  [[nodiscard]] bool may_be_in_session(pid_t pid) const {
    if (session_ < 0) return true;
    return numbers_.find_membership(pid, session_) != ProcessNumbers::Membership::no;
  }

  const std::vector<HeldLock>& locks_;
  pid_t session_;
  StopToken should_stop_;
  ProcessNumbers numbers_ = ProcessNumbers::read();
  std::optional<pid_t> self_ = sys::own_pid_in_proc();
  std::set<pid_t> harmless_;
};

std::vector<LockProcess> describe(const std::vector<pid_t>& pids, sys::Mode mode) {
  std::vector<LockProcess> processes(pids.size());
  std::transform(pids.begin(), pids.end(), processes.begin(), [mode](pid_t pid) { return fd_holder(pid, mode); });
  std::vector<LockProcess*> unnamed(pids.size());
  std::transform(processes.begin(), processes.end(), unnamed.begin(), [](LockProcess& process) { return &process; });
  fill_in_user_names(unnamed);
  return processes;
}

}  // namespace

Remaining remaining_processes(const std::vector<HeldLock>& locks, pid_t session) {
  if (locks.empty()) return {};
  const Deadline deadline = Deadline::clock::now() + time_to_end;
  Search search(locks, session, stop_after(time_to_read));
  bool was_clean = false;
  for (;;) {
    const Search::Pass pass = search.look();
    // Twice, because a process may start another one and then close the lock itself, before
    // it is looked at.
    const bool is_clean = pass.found.empty() && pass.is_complete;
    if (is_clean && was_clean) return {{}, may_be_hidden()};
    was_clean = is_clean;
    if (pass.was_stopped || (!is_clean && Deadline::clock::now() >= deadline)) {
      const bool may_be_more = pass.found.empty() || !pass.is_complete || may_be_hidden();
      return {describe(pass.found, locks.front().mode()), may_be_more};
    }
    search.wait_for_ends(pass.found, deadline);
  }
}

}  // namespace grex::core
