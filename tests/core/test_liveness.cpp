#include "core/inspect/liveness.hpp"

#include <doctest/doctest.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <string>

#include "base/boot_clock.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "sys/file/file.hpp"

using namespace grex;
using core::EntryFacts;
using core::KernelLock;
using core::KernelView;
using core::Liveness;
using core::StackEntry;
using test::TempDir;
using Listed = core::EntryFacts::Listed;
using Process = core::EntryFacts::Process;

namespace {

// A process id that no process has.
pid_t gone_pid() {
  test::Process process({"true"});
  process.wait();
  return process.pid();
}

StackEntry entry_for(const std::string& path, pid_t pid) {
  return {core::Tier::per_pack, path, sys::status_of(path)->id, pid, sys::Mode::exclusive, boot_clock_now()};
}

Liveness liveness_of(const StackEntry& entry) { return core::verify({entry}).front().liveness; }

// A process that has taken the lock, and that this process didn't inherit it from.
test::Process holder_of(const std::string& path, const char* mode = "-x") {
  test::Process holder({"flock", mode, "-o", path, "sh", "-c", "echo; read line"});
  holder.line();
  return holder;
}

KernelView view_of(std::vector<KernelLock> locks) { return {std::move(locks), {}, KernelView::Scope::everything}; }

KernelLock held_by(pid_t pid, sys::FileId file, sys::Mode mode = sys::Mode::exclusive) {
  return {KernelLock::Role::holder, mode, pid, file};
}

}  // namespace

TEST_CASE("a lock that this process has a descriptor for is proved, whatever process took it") {
  const TempDir dir;
  test::Fd lock = test::lock_as_grex(dir / "lock");
  CHECK(liveness_of(entry_for(dir / "lock", ::getpid())) == Liveness::live_proved);
  CHECK(liveness_of(entry_for(dir / "lock", gone_pid())) == Liveness::live_proved);
  lock.reset();
  CHECK(liveness_of(entry_for(dir / "lock", ::getpid())) == Liveness::stale);
}

TEST_CASE("a descriptor for the file without its lock proves nothing") {
  const TempDir dir;
  test::Process holder = holder_of(dir / "lock");
  const auto file = sys::open_lock_file(dir / "lock", sys::OpenFor::reading);
  CHECK(liveness_of(entry_for(dir / "lock", holder.pid())) == Liveness::live_unproved);
}

TEST_CASE("a lock that is shared by now proves no more than that") {
  const TempDir dir;
  const auto file = sys::open_lock_file(dir / "lock", sys::OpenFor::locking);
  REQUIRE(sys::try_lock(file->fd.get(), sys::Mode::shared));
  const auto verified = core::verify({entry_for(dir / "lock", ::getpid())});
  CHECK(verified.front().liveness == Liveness::live_proved);
  CHECK(verified.front().entry.mode == sys::Mode::shared);
}

TEST_CASE("a holder that is no ancestor is live, but not proved") {
  const TempDir dir;
  test::Process holder = holder_of(dir / "lock");
  CHECK(liveness_of(entry_for(dir / "lock", holder.pid())) == Liveness::live_unproved);
}

// SECURITY.md: name locks in the stack that no process holds | they are checked and ignored
TEST_CASE("an entry is dropped when its process is gone and another has taken the lock") {
  const TempDir dir;
  test::Process holder = holder_of(dir / "lock");
  CHECK(liveness_of(entry_for(dir / "lock", gone_pid())) == Liveness::stale);
}

TEST_CASE("an entry stays live if there is no time to look at the processes that may have its lock") {
  const TempDir dir;
  test::Process holder = holder_of(dir / "lock", "-s");
  const StackEntry entry = entry_for(dir / "lock", gone_pid());
  CHECK(liveness_of(entry) == Liveness::stale);
  const auto in_no_time = core::verify({entry}, [] { return true; });
  CHECK(in_no_time.front().liveness == Liveness::live_unproved);
}

TEST_CASE("what very many descriptors would prove is not proved if there is no time to read them") {
  const TempDir dir;
  const test::Fd lock = test::lock_as_grex(dir / "lock");
  std::vector<test::Fd> others;
  for (int i = 0; i < 300; ++i) others.emplace_back(::dup(0));
  const StackEntry entry = entry_for(dir / "lock", ::getpid());
  CHECK(liveness_of(entry) == Liveness::live_proved);
  const auto in_no_time = core::verify({entry}, [] { return true; });
  CHECK(in_no_time.front().liveness == Liveness::live_unproved);
}

TEST_CASE("an entry is dropped when another process has taken the lock, even if its own process runs") {
  const TempDir dir;
  test::Process holder = holder_of(dir / "lock");
  CHECK(liveness_of(entry_for(dir / "lock", ::getppid())) == Liveness::stale);
}

TEST_CASE("an entry of a process that is gone is stale beside other sharers") {
  const TempDir dir;
  test::Process holder = holder_of(dir / "lock", "-s");
  CHECK(liveness_of(entry_for(dir / "lock", gone_pid())) == Liveness::stale);
  CHECK(liveness_of(entry_for(dir / "lock", ::getppid())) == Liveness::live_unproved);
}

TEST_CASE("an entry stays live if its process is gone but the lock that it took is still held") {
  const TempDir dir;
  test::write_file(dir / "lock", "");
  // flock ends, and leaves the locked descriptor to a process in the background.
  test::Process shell({"bash", "-c",
                       "{ exec 9>lock; flock 9 & echo $!; wait $!; sleep 1000 & echo $!; exec 9>&-; }; read line; "
                       "kill $!"},
                      test::in(dir.path()));
  const auto taker = static_cast<pid_t>(std::stol(shell.line()));
  shell.line();
  test::until([&dir] { return test::is_locked(dir / "lock"); });
  CHECK(liveness_of(entry_for(dir / "lock", taker)) == Liveness::live_unproved);
  shell.write("\n");
  shell.wait();
  test::until([&dir] { return !test::is_locked(dir / "lock"); });
  CHECK(liveness_of(entry_for(dir / "lock", taker)) == Liveness::stale);
}

TEST_CASE("an entry with the number of a process that started after the lock was taken is stale") {
  const TempDir dir;
  StackEntry entry;
  test::Process holder = holder_of(dir / "lock");
  entry = entry_for(dir / "lock", holder.pid());
  entry.taken = 1;
  CHECK(liveness_of(entry) == Liveness::stale);
  entry.taken = std::nullopt;  // as release 0.1 wrote it
  CHECK(liveness_of(entry) == Liveness::live_unproved);
}

TEST_CASE("a process that started in the same clock tick is the one that took the lock") {
  StackEntry entry;
  entry.taken = 1'009'999'999;
  CHECK(core::compare_start(entry, 1'000'000'000) == Process::same);
  CHECK(core::compare_start(entry, 1'010'000'000) == Process::another);
  CHECK(core::compare_start(entry, -5) == Process::same);  // before this time namespace's zero
}

TEST_CASE("an entry whose process is a zombie is stale") {
  const TempDir dir;
  test::write_file(dir / "lock", "");
  test::Process other = holder_of(dir / "lock", "-s");
  test::Process zombie({"true"});
  test::until([&zombie] { return test::state_of(zombie.pid()) == 'Z'; });
  CHECK(liveness_of(entry_for(dir / "lock", zombie.pid())) == Liveness::stale);
}

TEST_CASE("an entry on a device that is not mounted is stale") {
  using Device = EntryFacts::Device;
  const auto device = [](std::uint64_t dev, const std::vector<core::Mount>& mounts,
                         const std::vector<KernelLock>& locks = {}) {
    return core::find_device({core::Tier::per_pack, "/none", {dev, 2}, 42, sys::Mode::exclusive}, mounts,
                             view_of(locks));
  };
  const std::vector<core::Mount> local = {{1, 100, "ext4", ""}, {2, 101, "tmpfs", ""}};
  CHECK(device(100, local) == Device::mounted);
  CHECK(device(102, local) == Device::not_mounted);
  CHECK(device(102, {}) == Device::not_known);
  // A subvolume has an anonymous device of its own, which is not that of its mount.
  for (const char* const type : {"btrfs", "overlay"}) {
    const std::vector<core::Mount> mounts = {{1, 100, type, ""}};
    CHECK(device(102, mounts) == Device::not_known);
    CHECK(device(makedev(8, 1), mounts) == Device::not_mounted);
    // Only that of a superblock is listed.
    CHECK(device(102, mounts, {held_by(42, {102, 3})}) == Device::not_mounted);
    CHECK(device(102, mounts, {held_by(42, {100, 2})}) == Device::not_known);
  }
}

TEST_CASE("of an entry's file, the list shows its number, another, sharers or nothing") {
  const StackEntry entry = {core::Tier::per_pack, "/none", {1, 2}, 42, sys::Mode::exclusive};
  const auto listed = [&entry](const std::vector<KernelLock>& locks) {
    return core::find_listed(entry, view_of(locks), core::ProcessNumbers::read());
  };
  CHECK(listed({}) == Listed::nothing);
  CHECK(listed({held_by(42, {1, 2})}) == Listed::entrys_number);
  CHECK(listed({held_by(43, {1, 2})}) == Listed::another_number);
  CHECK(listed({held_by(42, {1, 3})}) == Listed::nothing);
  CHECK(listed({held_by(42, {1, 2}, sys::Mode::shared)}) == Listed::sharers);
  CHECK(listed({held_by(0, {1, 2})}) == Listed::not_known);
  // While it was read, the lock passed on.
  CHECK(listed({held_by(43, {1, 2}), held_by(42, {1, 2})}) == Listed::entrys_number);
  CHECK(listed({{KernelLock::Role::waiter, sys::Mode::exclusive, 42, {1, 2}}}) == Listed::nothing);
}

TEST_CASE("a lock that a changing list shows twice is one lock") {
  const KernelLock lock = held_by(42, {1, 2});
  CHECK(KernelView({lock, lock}, {}, KernelView::Scope::inconsistent).on({1, 2}).size() == 1);
}
