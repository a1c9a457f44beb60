#include "core/inspect/file_report.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace grex::core {
namespace {

// Takes over what is known from the record in one of several files.
void add_details(LockProcess& process, LockProcess&& other) {
  if (other.mode == sys::Mode::exclusive) process.mode = other.mode;
  process.is_lost = process.is_lost || other.is_lost;
  const bool has_record = process.since || process.verb;
  if (has_record || !(other.since || other.verb)) return;
  process.since = other.since;
  process.note = std::move(other.note);
  process.verb = std::move(other.verb);
  process.command = std::move(other.command);
  process.cwd = std::move(other.cwd);
}

}  // namespace

std::string_view name_of(LockState state) {
  constexpr std::array<std::string_view, 5> names = {"lost", "held", "unknown", "free", "absent"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view name_of(Evidence evidence) {
  constexpr std::array<std::string_view, 4> names = {"kernel", "probe", "none", "cluster"};
  return names.at(static_cast<std::size_t>(evidence));
}

std::string_view name_of(RecordState state) {
  constexpr std::array<std::string_view, 3> names = {"valid", "stale", "none"};
  return names.at(static_cast<std::size_t>(state));
}

std::string_view name_of(Role role) {
  constexpr std::array<std::string_view, 3> names = {"acquirer", "fd-holder", "waiter"};
  return names.at(static_cast<std::size_t>(role));
}

void add_processes(std::vector<LockProcess>& all, std::vector<LockProcess> more, const std::string& file,
                   std::optional<unsigned> slot) {
  for (LockProcess& process : more) {
    const auto is_it = [&](const LockProcess& other) {
      return process.pid && other.pid == process.pid && (process.role == Role::waiter || other.slot == slot);
    };
    const auto same = std::find_if(all.begin(), all.end(), is_it);
    if (same != all.end()) {
      same->openers = std::min(same->openers, process.openers);
      if (process.role != Role::waiter) same->more_files.push_back(file);
      add_details(*same, std::move(process));
      continue;
    }
    process.slot = slot;
    process.file = file;
    all.push_back(std::move(process));
  }
}

}  // namespace grex::core
