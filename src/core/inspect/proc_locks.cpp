#include "core/inspect/proc_locks.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>

#include "base/text.hpp"
#include "core/inspect/file_system.hpp"

namespace grex::core {
namespace {

// 08:02:131079, the device in hexadecimal
std::optional<sys::FileId> parse_file(std::string_view word) {
  const auto colon = word.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto device = parse_device(word.substr(0, colon), 16);
  const auto inode = parse_number<std::uint64_t>(word.substr(colon + 1), 10);
  if (!device || !inode) return std::nullopt;
  return sys::FileId{*device, *inode};
}

// A line of any kind of lock.
struct Entry {
  bool waits = false;
  std::string_view kind;
  std::string_view access;
  pid_t pid = 0;
  sys::FileId file;
};

// 1: FLOCK  ADVISORY  WRITE 1234 08:02:131079 0 EOF
// 1:  -> FLOCK  ADVISORY  READ 1240 08:02:131079 0 EOF
// 2: LEASE  ACTIVE    WRITE 1234 08:02:131080 0 EOF
std::optional<Entry> parse_entry(std::string_view line) {
  std::string_view word = take_word(line);
  if (word == "lock:") word = take_word(line);
  if (word.empty() || word.back() != ':') return std::nullopt;

  Entry entry;
  entry.kind = take_word(line);
  if (entry.kind == "->") {
    entry.waits = true;
    entry.kind = take_word(line);
  }
  take_word(line);  // ADVISORY
  entry.access = take_word(line);
  const auto pid = parse_number<pid_t>(take_word(line), 10);
  const auto file = parse_file(take_word(line));
  if (!pid || !file) return std::nullopt;
  entry.pid = *pid;
  entry.file = *file;
  return entry;
}

}  // namespace

bool contains(const std::vector<KernelLock>& locks, const KernelLock& lock) {
  return std::find(locks.begin(), locks.end(), lock) != locks.end();
}

std::vector<KernelLock> parse_lock_table(std::string_view text) {
  std::vector<KernelLock> locks;
  while (!text.empty()) {
    const auto entry = parse_entry(take_until(text, '\n'));
    if (!entry || entry->kind != "FLOCK" || (entry->access != "WRITE" && entry->access != "READ")) continue;
    locks.push_back({entry->waits ? KernelLock::Role::waiter : KernelLock::Role::holder,
                     entry->access == "WRITE" ? sys::Mode::exclusive : sys::Mode::shared, entry->pid, entry->file});
  }
  return locks;
}

std::vector<KernelLease> parse_leases(std::string_view text) {
  std::vector<KernelLease> leases;
  while (!text.empty()) {
    const auto entry = parse_entry(take_until(text, '\n'));
    if (!entry || entry->waits || (entry->kind != "LEASE" && entry->kind != "DELEG")) continue;
    leases.push_back({entry->pid, entry->file});
  }
  return leases;
}

std::vector<KernelLock> merge_reads(std::vector<KernelLock> a, std::vector<KernelLock> b) {
  const auto comes_before = [](const KernelLock& x, const KernelLock& y) {
    return std::tie(x.file, x.role, x.mode, x.pid) < std::tie(y.file, y.role, y.mode, y.pid);
  };
  std::sort(a.begin(), a.end(), comes_before);
  std::sort(b.begin(), b.end(), comes_before);
  std::vector<KernelLock> merged;
  std::set_union(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(merged), comes_before);
  return merged;
}

}  // namespace grex::core
