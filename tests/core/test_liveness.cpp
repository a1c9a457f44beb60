#include "core/inspect/liveness.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "sys/file/file.hpp"

using namespace grex;
using core::KernelLock;
using core::KernelView;
using core::Liveness;
using core::StackEntry;
using test::TempDir;

namespace {

// A process id that no process has.
pid_t gone_pid() {
  test::Process process({"true"});
  process.wait();
  return process.pid();
}

StackEntry entry_for(const std::string& path, pid_t pid) {
  return {core::Tier::per_pack, path, sys::status_of(path)->id, pid, sys::Mode::exclusive};
}

// Views as other machines would have them.
KernelView complete(sys::FileId file, std::vector<KernelLock> locks) {
  return {std::move(locks), {file.dev}, KernelView::Scope::everything};
}
KernelView partial(std::vector<KernelLock> locks) { return {std::move(locks), {}, KernelView::Scope::namespaced}; }

KernelLock held_by(pid_t pid, sys::FileId file) { return {KernelLock::Role::holder, sys::Mode::exclusive, pid, file}; }

}  // namespace

TEST_CASE("an entry is live while its file is locked, and dropped if it isn't") {
  const TempDir dir;
  test::Fd lock = test::lock_as_grex(dir / "lock");
  const StackEntry entry = entry_for(dir / "lock", ::getpid());
  CHECK(core::verify({entry}).front().liveness == Liveness::live);
  lock.reset();
  CHECK(core::verify({entry}).front().liveness == Liveness::dropped);
}

TEST_CASE("an entry stays live if its process is gone but the lock that it took is still held") {
  const StackEntry entry = {core::Tier::per_pack, "/none", {1, 2}, gone_pid(), sys::Mode::exclusive};
  CHECK(core::liveness_of(entry, complete(entry.file, {held_by(entry.pid, entry.file)})) == Liveness::live);
}

// SECURITY.md: a stack that names locks nobody holds | they are looked up, and dropped
TEST_CASE("an entry is dropped when its process is gone and another has taken the lock") {
  const StackEntry entry = {core::Tier::per_pack, "/none", {1, 2}, gone_pid(), sys::Mode::exclusive};
  CHECK(core::liveness_of(entry, complete(entry.file, {held_by(::getpid(), entry.file)})) == Liveness::dropped);
}

TEST_CASE("an entry is live if its process is, even if the kernel lists another PID") {
  const StackEntry entry = {core::Tier::per_pack, "/none", {1, 2}, ::getpid(), sys::Mode::exclusive};
  CHECK(core::liveness_of(entry, complete(entry.file, {held_by(::getppid(), entry.file)})) == Liveness::live);
}

TEST_CASE("a waiter holds nothing") {
  const StackEntry entry = {core::Tier::per_pack, "/none", {1, 2}, ::getpid(), sys::Mode::exclusive};
  const KernelLock waiter = {KernelLock::Role::waiter, sys::Mode::exclusive, ::getpid(), entry.file};
  CHECK(core::liveness_of(entry, complete(entry.file, {waiter})) == Liveness::dropped);
}

TEST_CASE("if the kernel's list may be incomplete, the lock itself is tried") {
  const TempDir dir;
  test::Fd lock = test::lock_as_grex(dir / "lock");
  const StackEntry entry = entry_for(dir / "lock", ::getpid());
  CHECK(core::liveness_of(entry, partial({})) == Liveness::live);
  lock.reset();
  CHECK(core::liveness_of(entry, partial({})) == Liveness::dropped);
}

TEST_CASE("an inconsistent list alone does not make an entry stale") {
  const TempDir dir;
  test::Fd lock = test::lock_as_grex(dir / "lock");
  const StackEntry entry = entry_for(dir / "lock", ::getpid());
  const KernelView inconsistent_view = {{}, {entry.file.dev}, KernelView::Scope::inconsistent};
  CHECK(core::liveness_of(entry, inconsistent_view) == Liveness::live);
  lock.reset();
  CHECK(core::liveness_of(entry, inconsistent_view) == Liveness::dropped);
}

TEST_CASE("a lock that a changing list shows twice is one lock") {
  const KernelLock lock = held_by(42, {1, 2});
  CHECK(KernelView({lock, lock}, {}, KernelView::Scope::inconsistent).on({1, 2}).size() == 1);
}

TEST_CASE("an entry that cannot be checked counts as live") {
  const TempDir dir;
  const StackEntry missing = {core::Tier::per_pack, dir / "none", {1, 2}, gone_pid(), sys::Mode::exclusive};
  CHECK(core::liveness_of(missing, partial({})) == Liveness::live);
  test::write_file(dir / "other", "");
  const StackEntry replaced = {core::Tier::per_pack, dir / "other", {1, 2}, gone_pid(), sys::Mode::exclusive};
  CHECK(core::liveness_of(replaced, partial({})) == Liveness::live);
  // A PID of another PID namespace proves nothing about the entry's.
  CHECK(core::liveness_of(missing, partial({held_by(::getpid(), missing.file)})) == Liveness::live);
}
