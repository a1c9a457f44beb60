#include "core/inspect/remaining.hpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "base/deadline.hpp"
#include "base/stop_token.hpp"
#include "core/inspect/descriptor_locks.hpp"
#include "core/inspect/each_process.hpp"
#include "core/inspect/file_system.hpp"
#include "core/inspect/holders.hpp"
#include "core/inspect/process_numbers.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"
#include "sys/process/proc_text.hpp"

namespace grex::core {
namespace {

constexpr std::chrono::milliseconds time_to_end(100);

// For reading /proc, where any user can make processes and descriptors many.
constexpr std::chrono::seconds time_to_read(1);

// One of our locked files, as descriptors show it; or a pipe, whose write end stands for a lock.
struct OurLock {
  sys::FileId file;
  /// Its acquirer, which distinguishes it from other shared locks on the file; none if
  /// even our own descriptor doesn't show it.
  std::optional<pid_t> acquirer;
  bool is_pipe = false;
};

std::vector<OurLock> find_ours(const std::vector<HeldLock>& locks, int pipe) {
  std::vector<OurLock> ours;
  for (const HeldLock& lock : locks) {
    for (const HeldFile& held : lock.files()) {
      const auto shown = locks_on({sys::own_process, held.file.fd.get(), held.file.id});
      const bool is_shown = shown && !shown->empty();
      ours.push_back({held.file.id, is_shown ? std::optional(shown->front().pid) : std::nullopt});
    }
  }
  const auto status = pipe < 0 ? sys::FileStatus{} : sys::status_of(pipe);
  if (pipe >= 0 && status) ours.push_back({status->id, std::nullopt, true});
  return ours;
}

// What is known of a process that was listed. Of several descriptors, the greatest counts.
enum class Fate { has_ended, has_none, may_have_lock, has_lock };

// What one descriptor shows. A process may be listed with its descriptors, and yet they
// can't be read: that needs more (proc(5), ptrace(2)).
Fate fate_by(const sys::OpenDescriptor& descriptor, const OurLock& ours) {
  if (ours.is_pipe) {
    const auto info = descriptor.file == ours.file ? sys::descriptor_info(descriptor) : std::nullopt;
    const auto flags = info ? sys::parse_open_flags(*info) : std::nullopt;
    return flags && (*flags & O_ACCMODE) == O_WRONLY ? Fate::has_lock : Fate::has_none;
  }
  if (descriptor.file != ours.file && descriptor.file != sys::FileId{}) return Fate::has_none;
  const auto shown = locks_on(descriptor);
  if (!shown) return Fate::may_have_lock;
  const bool has_it = std::any_of(shown->begin(), shown->end(), [&ours](const KernelLock& lock) {
    return lock.file.ino == ours.file.ino && (!ours.acquirer || lock.pid == *ours.acquirer);
  });
  return has_it ? Fate::has_lock : Fate::has_none;
}

Fate fate_by(const std::vector<sys::OpenDescriptor>& descriptors, const std::vector<OurLock>& locks) {
  Fate fate = Fate::has_none;
  for (const sys::OpenDescriptor& descriptor : descriptors) {
    for (const OurLock& ours : locks) fate = std::max(fate, fate_by(descriptor, ours));
  }
  return fate;
}

// Whether a process may be a descendant of the command, which started after us. Unknown
// counts as a yes.
bool may_be_descendant(pid_t pid) {
  if (sys::is_kernel_thread(sys::process_file(pid, "stat").value_or(""))) return false;
  const auto we_started = start_time_ns(sys::own_process);
  const auto started = start_time_ns(pid);
  const bool is_older = we_started && started && *started < *we_started;
  if (is_older) return false;
  const std::vector<pid_t> above_us = ancestors(sys::own_process);  // one of them may have started at the same time
  return std::find(above_us.begin(), above_us.end(), pid) == above_us.end();
}

// Whether a process that /proc has listed is gone. If its number here is not known, only
// another list shows that.
bool is_no_longer_there(pid_t pid) {
  const Presence presence = presence_of(pid, Numbering::in_proc);
  if (presence != Presence::not_known) return presence == Presence::gone;
  const auto listed = sys::processes();
  return listed && !std::binary_search(listed->begin(), listed->end(), pid);
}

Fate fate_of(pid_t pid, const std::vector<OurLock>& locks, const StopToken& should_stop) {
  const Presence presence = presence_of(pid, Numbering::in_proc);
  const bool has_no_main_thread = presence == Presence::zombie;
  if (presence == Presence::gone) return Fate::has_ended;
  if (has_no_main_thread && sys::thread_count(pid).value_or(0) <= 1) return Fate::has_ended;
  const auto descriptors = sys::descriptors_of(pid, should_stop);
  const bool is_listed = descriptors && !has_no_main_thread;
  const Fate fate = is_listed ? fate_by(*descriptors, locks) : Fate::may_have_lock;
  if (fate != Fate::may_have_lock) return fate;
  if (is_no_longer_there(pid)) return Fate::has_ended;
  return may_be_descendant(pid) ? Fate::may_have_lock : Fate::has_none;
}

// Looks at all processes, again and again.
class RepeatedSearch {
 public:
  RepeatedSearch(const std::vector<HeldLock>& locks, int pipe, pid_t session, StopToken should_stop)
      : locks_(find_ours(locks, pipe)), session_(session), should_stop_(std::move(should_stop)) {}

  struct Pass {
    std::vector<pid_t> found;
    bool has_seen_lock = false;  ///< that one of them has
    /// Whether there are surely no others. A process that ended after the list was read
    /// may have started one that is not in the list.
    bool is_complete = true;
    bool was_stopped = false;
  };

  Pass look() {
    Pass pass;
    const auto listed = sys::processes();
    if (!listed || !self_) return {{}, false, false, false};  // /proc may show others' processes, but not ours
    for (const pid_t pid : *listed) {
      if (pid == self_) continue;
      const bool is_in_session = may_be_in_session(pid);
      const Fate fate = is_in_session ? fate_of(pid, locks_, should_stop_) : Fate::has_none;
      if (should_stop_()) {
        pass.is_complete = false;
        pass.was_stopped = true;
        return pass;
      }
      if (fate == Fate::has_lock || fate == Fate::may_have_lock) pass.found.push_back(pid);
      if (fate == Fate::has_lock) pass.has_seen_lock = true;
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

  std::vector<OurLock> locks_;
  pid_t session_;
  StopToken should_stop_;
  ProcessNumbers numbers_ = ProcessNumbers::read();
  std::optional<pid_t> self_ = sys::own_pid_in_proc();
  std::set<pid_t> harmless_;
};

}  // namespace

Remaining remaining_processes(const std::vector<HeldLock>& locks, pid_t session, int pipe) {
  if (locks.empty()) return {};
  const Deadline deadline = Deadline::clock::now() + time_to_end;
  RepeatedSearch search(locks, pipe, session, stop_after(time_to_read));
  bool was_clean = false;
  for (;;) {
    const RepeatedSearch::Pass pass = search.look();
    // Twice, because a process may start another one and then close the lock itself, before
    // it is looked at.
    const bool is_clean = pass.found.empty() && pass.is_complete;
    if (is_clean && was_clean) return {{}, false, may_hide_processes()};
    was_clean = is_clean;
    if (pass.was_stopped || (!is_clean && Deadline::clock::now() >= deadline)) {
      const bool may_be_more = pass.found.empty() || !pass.is_complete || may_hide_processes();
      return {pass.found, pass.has_seen_lock, may_be_more};
    }
    search.wait_for_ends(pass.found, deadline);
  }
}

std::vector<LockProcess> describe_holders(const std::vector<pid_t>& pids, sys::Mode mode) {
  std::vector<LockProcess> processes(pids.size());
  std::transform(pids.begin(), pids.end(), processes.begin(), [mode](pid_t pid) { return fd_holder(pid, mode); });
  std::vector<LockProcess*> unnamed(pids.size());
  std::transform(processes.begin(), processes.end(), unnamed.begin(), [](LockProcess& process) { return &process; });
  fill_in_user_names(unnamed);
  return processes;
}

}  // namespace grex::core
