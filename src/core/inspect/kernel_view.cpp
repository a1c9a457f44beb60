#include "core/inspect/kernel_view.hpp"

#include <algorithm>

#include "sys/process/proc.hpp"

namespace grex::core {
namespace {

bool has_lesser_file(const KernelLock& a, const KernelLock& b) { return a.file < b.file; }

KernelView::Scope scope_of(bool is_whole_list) {
  if (!sys::in_initial_pid_namespace()) return KernelView::Scope::namespaced;
  return is_whole_list ? KernelView::Scope::everything : KernelView::Scope::inconsistent;
}

}  // namespace

KernelView KernelView::take(const std::vector<Mount>& mounts, const StopToken& should_stop) {
  const sys::LockTableText table = sys::lock_table_text(should_stop);
  KernelView view(parse_lock_table(table.text), local_devices(mounts), scope_of(table.single_read),
                  parse_leases(table.text));
  view.is_cut_ = table.is_cut;
  view.may_repeat_ = !table.single_read;
  return view;
}

KernelView KernelView::take_stable(const StopToken& should_stop) {
  constexpr int max_reads = 8;
  std::vector<KernelLock> locks;
  std::string last;
  bool is_stable = false;
  bool is_cut = false;
  bool may_repeat = false;
  for (int i = 0; i < max_reads && !is_stable && !is_cut; ++i) {
    sys::LockTableText table = sys::lock_table_text(should_stop);
    is_cut = table.is_cut;
    may_repeat = may_repeat || !table.single_read;
    // A list hardly ever changes in the same way twice.
    is_stable = table.single_read || (!is_cut && table.text == last);
    auto listed = parse_lock_table(table.text);
    locks = i == 0 ? std::move(listed) : merge_reads(std::move(locks), std::move(listed));
    last = std::move(table.text);
  }
  KernelView view(std::move(locks), {}, scope_of(is_stable));
  view.is_cut_ = is_cut;
  view.may_repeat_ = may_repeat;
  return view;
}

KernelView::KernelView(std::vector<KernelLock> locks, std::vector<std::uint64_t> local_devices, Scope scope,
                       std::vector<KernelLease> leases)
    : locks_(std::move(locks)), local_devices_(std::move(local_devices)), leases_(std::move(leases)), scope_(scope) {
  std::stable_sort(locks_.begin(), locks_.end(), has_lesser_file);
}

std::vector<KernelLock> KernelView::on(sys::FileId file) const {
  const auto [first, last] = std::equal_range(locks_.begin(), locks_.end(), KernelLock{.file = file}, has_lesser_file);
  std::vector<KernelLock> found;
  std::copy_if(first, last, std::back_inserter(found), [&found](const KernelLock& lock) {
    // A list that changed while it was read may have a lock twice.
    return std::find(found.begin(), found.end(), lock) == found.end();
  });
  return found;
}

std::optional<pid_t> KernelView::lease_holder(sys::FileId file) const {
  const auto is_its = [file](const KernelLease& lease) { return lease.file == file; };
  const auto lease = std::find_if(leases_.begin(), leases_.end(), is_its);
  return lease == leases_.end() ? std::nullopt : std::optional(lease->pid);
}

bool KernelView::is_local(sys::FileId file) const {
  return std::find(local_devices_.begin(), local_devices_.end(), file.dev) != local_devices_.end();
}

bool KernelView::is_complete_for(sys::FileId file) const { return scope_ == Scope::everything && is_local(file); }

bool KernelView::is_inconsistent_for(sys::FileId file) const { return scope_ == Scope::inconsistent && is_local(file); }

}  // namespace grex::core
