#include "core/kernel_view.hpp"

#include <algorithm>
#include <iterator>

#include "sys/proc.hpp"

namespace grex::core {

KernelView KernelView::take() {
  const auto table = sys::lock_table_text();
  if (!table) return {{}, {}, false};
  return {parse_lock_table(*table), parse_local_devices(sys::mount_table_text()), sys::in_initial_pid_namespace()};
}

std::vector<KernelLock> KernelView::on(sys::FileId file) const {
  std::vector<KernelLock> found;
  std::copy_if(locks_.begin(), locks_.end(), std::back_inserter(found),
               [file](const KernelLock& lock) { return lock.file == file; });
  return found;
}

bool KernelView::is_complete_for(sys::FileId file) const {
  return sees_every_process_ &&
         std::find(local_devices_.begin(), local_devices_.end(), file.dev) != local_devices_.end();
}

}  // namespace grex::core
