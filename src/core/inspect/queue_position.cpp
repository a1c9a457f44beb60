#include "core/inspect/queue_position.hpp"

#include <algorithm>
#include <iterator>
#include <set>

#include "core/inspect/kernel_view.hpp"
#include "sys/file/file.hpp"
#include "sys/lock/flock.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

std::optional<sys::FileStatus> regular_file(const std::optional<sys::LockFileName>& name) {
  const auto status = name ? sys::status_of_lock_file(*name) : Result(sys::FileStatus{});
  return status && status->type == sys::FileType::regular ? std::optional(*status) : std::nullopt;
}

// The processes that wait for a lock before `self`; nullopt if `self` doesn't wait.
std::optional<std::set<pid_t>> waiters_before(pid_t self, const std::vector<KernelLock>& locks) {
  std::set<pid_t> before;
  for (const KernelLock& lock : locks) {
    if (is_holder(lock)) continue;
    if (lock.pid == self) return before;
    before.insert(lock.pid);
  }
  return std::nullopt;
}

// The files that this process waits for, with the numbers from /proc/locks.
std::vector<sys::FileId> waits_of(pid_t self, const KernelView& view) {
  std::vector<sys::FileId> waits;
  for (const KernelLock& lock : view.all()) {
    if (lock.pid == self && !is_holder(lock)) waits.push_back(lock.file);
  }
  return waits;
}

// The lock that `self` waits for, with its waiters, which the kernel lists after it.
std::vector<KernelLock> lock_of_wait(pid_t self, const std::vector<KernelLock>& locks) {
  const auto wait = std::find_if(locks.begin(), locks.end(),
                                 [self](const KernelLock& lock) { return !is_holder(lock) && lock.pid == self; });
  const auto lock = std::find_if(std::make_reverse_iterator(wait), locks.rend(), is_holder);
  const auto first = lock == locks.rend() ? locks.begin() : std::prev(lock.base());
  return std::vector<KernelLock>(first, std::find_if(wait, locks.end(), is_holder));
}

// The locks on a file. If this process waits for it, the kernel's list may have another
// number for its device, and other files with that number.
std::vector<KernelLock> locks_at(sys::FileId file, const std::vector<sys::FileId>& waits, pid_t self,
                                 const KernelView& view) {
  const auto is_it = [file](sys::FileId wait) { return wait.ino == file.ino; };
  const auto wait = std::find_if(waits.begin(), waits.end(), is_it);
  if (wait == waits.end() || *wait == file) return view.on(file);
  return lock_of_wait(self, view.on(*wait));
}

QueuePosition read_once(const FileQueue& queue, const StopToken& should_stop) {
  const KernelView view(parse_lock_table(sys::lock_table_text(should_stop).text), {}, KernelView::Scope::inconsistent);
  const pid_t self = sys::own_pid_in_proc().value_or(sys::own_pid());
  const auto waits = waits_of(self, view);
  QueuePosition position;
  std::set<pid_t> waiters;
  const auto count = [&](const std::vector<KernelLock>& locks) {
    const auto before = waiters_before(self, locks);
    if (!before) return false;
    waiters.insert(before->begin(), before->end());
    position.waiters = waiters.size();
    return true;
  };
  for (const sys::LockFileName& name : queue.files) {
    const auto file = regular_file(name);
    if (!file) continue;
    position.written.push_back(file->modified);
    const auto locks = locks_at(file->id, waits, self, view);
    std::copy_if(locks.begin(), locks.end(), std::back_inserter(position.holders), is_holder);
    count(locks);
  }
  if (const auto record = regular_file(queue.record)) position.written.push_back(record->modified);
  // The holder of the queue file is the first process that waits for a slot, or for the lock.
  const auto queue_file = regular_file(queue.queue_file);
  if (queue_file && count(locks_at(queue_file->id, waits, self, view))) ++*position.waiters;
  return position;
}

}  // namespace

FileQueue queue_at(const Target& target, const TargetFile& file) {
  FileQueue queue{file.full_names(), {}, {}};
  if (&file != &target.files.back()) queue.record = target.files.back().name_at(0);
  queue.queue_file = queue.files.size() > 1 ? std::optional(queue_file(file, static_cast<unsigned>(queue.files.size())))
                                            : gate_file(target);
  return queue;
}

QueuePosition read_queue_position(const FileQueue& queue, const StopToken& should_stop) {
  // A list that changes while it is read may lack a lock with all its waiters: the one
  // that we wait for, if we are not in it.
  constexpr int max_reads = 8;
  QueuePosition position = read_once(queue, should_stop);
  for (int i = 1; i < max_reads && !position.waiters && !should_stop(); ++i) position = read_once(queue, should_stop);
  return position;
}

}  // namespace grex::core
