// /proc/locks, and the lock: lines of /proc/PID/fdinfo/N.

#include "core/inspect/proc_locks.hpp"

#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "core/inspect/kernel_view.hpp"
#include "fuzz.hpp"

using namespace grex;
using core::KernelLock;
using fuzz::require;

namespace {

std::string line_of(const KernelLock& lock) {
  std::array<char, 128> line = {};
  (void)std::snprintf(line.data(), line.size(), "1: %sFLOCK  ADVISORY  %s %d %02x:%02x:%ju 0 EOF\n",
                      core::is_holder(lock) ? "" : "-> ", lock.mode == sys::Mode::exclusive ? "WRITE" : "READ",
                      lock.pid, gnu_dev_major(lock.file.dev), gnu_dev_minor(lock.file.dev),
                      std::uintmax_t{lock.file.ino});
  return line.data();
}

void check_view(const std::vector<KernelLock>& locks) {
  const core::KernelView view(locks, {}, core::KernelView::Scope::everything);
  require(std::is_permutation(locks.begin(), locks.end(), view.all().begin(), view.all().end()));
  for (const KernelLock& lock : locks) {
    const auto on_same_file = view.on(lock.file);
    require(std::count(on_same_file.begin(), on_same_file.end(), lock) == 1);
    for (const KernelLock& other : on_same_file) require(other.file == lock.file);
    require(!view.is_complete_for(lock.file));  // no file system is known to be local
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const auto locks = core::parse_lock_table(text);
  require(locks.size() <= fuzz::split(text, '\n').size());
  std::string written;
  for (const KernelLock& lock : locks) written += line_of(lock);
  require(core::parse_lock_table(written) == locks);
  check_view(locks);
  require(core::parse_leases(text).size() <= fuzz::split(text, '\n').size() - locks.size());
  return 0;
}
