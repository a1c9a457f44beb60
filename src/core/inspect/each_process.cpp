#include "core/inspect/each_process.hpp"

#include <set>
#include <vector>

#include "core/inspect/file_system.hpp"
#include "sys/file/file.hpp"
#include "sys/process/proc.hpp"

namespace grex::core {

bool for_each_process(const std::function<bool(pid_t pid)>& visit, const StopToken& should_stop) {
  constexpr int max_lists = 8;
  std::set<pid_t> visited;
  for (int i = 0; i < max_lists; ++i) {
    const auto listed = sys::processes();
    if (!listed) return false;
    bool is_last = i > 0;
    for (const pid_t pid : *listed) {
      if (!visited.insert(pid).second) continue;
      if (should_stop()) return false;
      if (!visit(pid)) is_last = false;
    }
    if (is_last) return true;
  }
  return false;
}

bool may_hide_processes() {
  if (sys::effective_uid() == 0) return false;
  const auto place = sys::place_of("/proc");
  const std::vector<Mount> mounts = visible_mounts();
  const Mount* const proc = place ? find_mount(place->mount, mounts) : nullptr;
  return proc == nullptr || hides_processes(*proc);
}

}  // namespace grex::core
