#include "core/kernel_view.hpp"

#include <algorithm>

#include "sys/proc.hpp"

namespace grex::core {

KernelView KernelView::take() {
  const sys::LockTableText table = sys::lock_table_text();
  Scope scope = Scope::namespaced;
  if (sys::in_initial_pid_namespace()) scope = table.in_one_piece ? Scope::everything : Scope::torn;
  return {parse_lock_table(table.text), parse_local_devices(sys::mount_table_text()), scope};
}

std::vector<KernelLock> KernelView::on(sys::FileId file) const {
  std::vector<KernelLock> found;
  for (const KernelLock& lock : locks_) {
    // A list that changed while it was read may have a lock twice.
    if (lock.file == file && std::find(found.begin(), found.end(), lock) == found.end()) found.push_back(lock);
  }
  return found;
}

bool KernelView::is_local(sys::FileId file) const {
  return std::find(local_devices_.begin(), local_devices_.end(), file.dev) != local_devices_.end();
}

bool KernelView::is_complete_for(sys::FileId file) const { return scope_ == Scope::everything && is_local(file); }

bool KernelView::is_torn_for(sys::FileId file) const { return scope_ == Scope::torn && is_local(file); }

}  // namespace grex::core
