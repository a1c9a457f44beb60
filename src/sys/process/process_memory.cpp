#include "sys/process/process_memory.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "sys/process/proc.hpp"
#include "sys/process/worker_thread.hpp"

namespace grex::sys {
namespace {

using Text = std::optional<std::string>;

// The processes that abandoned threads are still reading.
struct Stuck {
  std::mutex mutex;
  std::set<pid_t> pids;
};

// An abandoned thread may use it until the process has ended.
Stuck& stuck() {
  static auto* const forever = new Stuck;
  return *forever;
}

Text read_in_time(pid_t pid, std::function<Text()> read) {
  constexpr std::chrono::milliseconds limit(500);
  {
    const std::lock_guard lock(stuck().mutex);
    if (stuck().pids.contains(pid)) return std::nullopt;
  }
  const auto is_read = std::make_shared<bool>(false);  // guarded by the mutex
  const auto text = result_within<Text>(limit, [pid, is_read, read = std::move(read)] {
    Text result = read();
    const std::lock_guard lock(stuck().mutex);
    *is_read = true;
    stuck().pids.erase(pid);
    return result;
  });
  if (text) return *text;
  const std::lock_guard lock(stuck().mutex);
  if (!*is_read) stuck().pids.insert(pid);
  return std::nullopt;
}

}  // namespace

Text command_line_text(pid_t pid) {
  return read_in_time(pid, [pid] { return process_file(pid, "cmdline"); });
}

Text environment_text(pid_t pid) {
  return read_in_time(pid, [pid] { return process_environment(pid); });
}

}  // namespace grex::sys
