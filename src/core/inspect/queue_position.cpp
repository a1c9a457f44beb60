#include "core/inspect/queue_position.hpp"

#include <algorithm>
#include <set>

#include "core/inspect/kernel_view.hpp"
#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

std::optional<sys::FileStatus> regular_file(const std::string& path) {
  const auto status = path.empty() ? Result(sys::FileStatus{}) : sys::status_of(path);
  return status && status->type == sys::FileType::regular ? std::optional(*status) : std::nullopt;
}

// The processes that wait for a lock before `self` does; nullopt if it does not.
std::optional<std::set<pid_t>> waiters_before(pid_t self, const std::vector<KernelLock>& locks) {
  std::set<pid_t> before;
  for (const KernelLock& lock : locks) {
    if (is_holder(lock)) continue;
    if (lock.pid == self) return before;
    before.insert(lock.pid);
  }
  return std::nullopt;
}

// Where this process waits, by the kernel's numbers.
std::vector<sys::FileId> waits_of(pid_t self, const KernelView& view) {
  std::vector<sys::FileId> waits;
  for (const KernelLock& lock : view.all()) {
    if (lock.pid == self && !is_holder(lock)) waits.push_back(lock.file);
  }
  return waits;
}

// The locks on a file, whatever number the kernel's list has for the device of one
// for which this process waits.
std::vector<KernelLock> locks_at(sys::FileId file, const std::vector<sys::FileId>& waits, const KernelView& view) {
  const auto is_it = [file](sys::FileId wait) { return wait.ino == file.ino; };
  const auto wait = std::find_if(waits.begin(), waits.end(), is_it);
  return view.on(wait == waits.end() ? file : *wait);
}

Ahead look_once(const Queue& queue) {
  const KernelView view(parse_lock_table(sys::lock_table_text().text), {}, KernelView::Scope::torn);
  const pid_t self = sys::own_pid();
  const auto waits = waits_of(self, view);
  Ahead ahead;
  std::set<pid_t> waiters;
  const auto count = [&](const std::vector<KernelLock>& locks) {
    const auto before = waiters_before(self, locks);
    if (!before) return false;
    waiters.insert(before->begin(), before->end());
    ahead.waiters = waiters.size();
    return true;
  };
  for (const std::string& path : queue.files) {
    const auto file = regular_file(path);
    if (!file) continue;
    ahead.written.push_back(file->modified);
    const auto locks = locks_at(file->id, waits, view);
    std::copy_if(locks.begin(), locks.end(), std::back_inserter(ahead.holders), is_holder);
    count(locks);
  }
  // Who holds the line's file is the first of those who want a permit.
  const auto line = regular_file(queue.line);
  if (line && count(locks_at(line->id, waits, view))) ++*ahead.waiters;
  return ahead;
}

}  // namespace

Queue queue_at(const Target& target) {
  Queue queue{target.lock_paths(), {}};
  if (queue.files.size() > 1) queue.line = queue_path(target, target.request.slots);
  return queue;
}

Ahead look_ahead(const Queue& queue) {
  // A list that changes while it is read may miss a lock, with all who wait for
  // it: ours, if we are not in it.
  constexpr int looks = 8;
  Ahead ahead = look_once(queue);
  for (int i = 1; i < looks && !ahead.waiters; ++i) ahead = look_once(queue);
  return ahead;
}

}  // namespace grex::core
