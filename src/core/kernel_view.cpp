#include "core/kernel_view.hpp"

#include <algorithm>
#include <iterator>

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
  std::copy_if(locks_.begin(), locks_.end(), std::back_inserter(found),
               [file](const KernelLock& lock) { return lock.file == file; });
  return found;
}

bool KernelView::is_local(sys::FileId file) const {
  return std::find(local_devices_.begin(), local_devices_.end(), file.dev) != local_devices_.end();
}

bool KernelView::is_complete_for(sys::FileId file) const { return scope_ == Scope::everything && is_local(file); }

bool KernelView::is_torn_for(sys::FileId file) const { return scope_ == Scope::torn && is_local(file); }

}  // namespace grex::core
