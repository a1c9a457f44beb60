#include "core/inspect/descriptor_locks.hpp"

namespace grex::core {

std::optional<std::vector<KernelLock>> locks_on(const sys::OpenDescriptor& descriptor) {
  const auto info = sys::descriptor_info(descriptor);
  return info ? std::optional(parse_lock_table(*info)) : std::nullopt;
}

std::vector<KernelLock> locks_on(sys::FileId file, pid_t pid, const StopToken& should_stop) {
  std::vector<KernelLock> locks;
  const auto descriptors = sys::descriptors_of(pid, should_stop);
  if (!descriptors) return locks;
  for (const sys::OpenDescriptor& open : *descriptors) {
    if (open.file != file) continue;
    const auto found = locks_on(open);
    if (found) locks.insert(locks.end(), found->begin(), found->end());
  }
  return locks;
}

std::vector<sys::FileId> files_locked_by(const std::vector<sys::OpenDescriptor>& descriptors) {
  std::vector<sys::FileId> files;
  for (const sys::OpenDescriptor& open : descriptors) {
    const auto locks = open.is_regular ? locks_on(open) : std::nullopt;
    if (locks && !locks->empty()) files.push_back(open.file);
  }
  return files;
}

}  // namespace grex::core
