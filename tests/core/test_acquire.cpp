#include "core/lock/acquire.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using core::LockRequest;
using core::Tier;
using sys::Acquire;
using sys::Mode;
using test::TempDir;
using namespace std::chrono_literals;

namespace {

core::Target target_of(const LockRequest& request) {
  auto target = core::resolve(request);
  REQUIRE(target);
  return std::move(*target);
}

// A lock with one file, or one of several slots.
LockRequest flat(Tier tier, const std::string& path, unsigned slots = 1) {
  return {.tier = tier, .path = path, .slots = slots, .layouts = {core::Layout::flat}};
}

core::Attempt acquire_now(std::vector<core::Target> targets) {
  return core::acquire(targets, {.waits = false, .will_record = true});
}

// The result of an attempt at one lock, without waiting.
struct TryResult {
  Acquire outcome;
  std::optional<core::HeldLock> lock;
};

TryResult try_lock(LockRequest request, Mode mode = Mode::exclusive) {
  request.mode = mode;
  std::vector<core::Target> targets;
  targets.push_back(target_of(request));
  core::Attempt attempt = acquire_now(std::move(targets));
  REQUIRE(attempt.end);
  TryResult result{attempt.end->outcome, {}};
  if (!attempt.locks.empty()) result.lock = std::move(attempt.locks.front());
  return result;
}

// The targets of the requests, sorted.
std::vector<core::Target> targets_of(const std::vector<LockRequest>& requests) {
  std::vector<core::Target> targets;
  for (const LockRequest& request : requests) targets.push_back(target_of(request));
  core::sort_and_dedupe(targets);
  return targets;
}

std::vector<std::string> paths_of(const core::Attempt& attempt) {
  std::vector<std::string> paths;
  for (const core::HeldLock& lock : attempt.locks) {
    for (const core::HeldFile& held : lock.files()) paths.push_back(held.path);
  }
  return paths;
}

core::Record record() {
  core::Record record;
  record.writer = core::own_identity();
  record.command = {"make"};
  record.since = utc_now();
  return record;
}

// Has two locks. It releases the first when it is waited for, and lets the deadline pass
// before that wait is over. So there is no time left for the second, which it releases
// as soon as a process waits for that one in the kernel's queue.
class HandOver : public core::WaitObserver {
 public:
  HandOver(const std::string& first, const std::string& second, Deadline deadline)
      : first_(test::lock_as_grex(first)),
        second_(test::lock_as_grex(second)),
        second_path_(second),
        deadline_(deadline) {}

  void wait_begins(const core::Target& /*target*/, const core::TargetFile& /*file*/) override {
    if (++waits_ == 1) return first_.reset();
    releaser_ = std::jthread([this](const std::stop_token& stop) {
      test::until([&] { return stop.stop_requested() || test::waiters_on(second_path_) > 0; });
      second_.reset();
    });
  }

  void wait_ends() override {
    if (releaser_.joinable()) releaser_ = {};  // stops it
    std::this_thread::sleep_until(deadline_);
  }

  [[nodiscard]] Deadline deadline() const { return deadline_; }
  [[nodiscard]] int waits() const { return waits_; }

 private:
  test::Fd first_;
  test::Fd second_;
  std::string second_path_;
  Deadline deadline_;
  int waits_ = 0;
  std::jthread releaser_;
};

}  // namespace

TEST_CASE("a lock file's directories are created, and opening it keeps its content") {
  const TempDir dir;
  const LockRequest manifest = flat(Tier::manifest, dir.path());
  CHECK(try_lock(manifest).lock.has_value());
  CHECK(test::exists(dir / ".grex/.grex.lock"));
  test::write_file(dir / ".grex-lock", "left by somebody");
  CHECK(try_lock(flat(Tier::per_pack, dir.path())).lock.has_value());
  CHECK(test::content_of(dir / ".grex-lock") == "left by somebody");
}

// SECURITY.md: get access through a lock file that grex-lock created | it has the permissions that the umask leaves, no
// more
TEST_CASE("a new lock file has the permissions that the umask leaves") {
  const TempDir dir;
  const mode_t old = ::umask(027);
  const auto attempt = try_lock(flat(Tier::per_pack, dir.path()));
  ::umask(old);
  struct stat st;
  REQUIRE(::stat((dir / ".grex-lock").c_str(), &st) == 0);
  CHECK((st.st_mode & 07777U) == 0640);
}

TEST_CASE("a second exclusive attempt is busy until the first is released") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  auto first = try_lock(pack);
  CHECK(try_lock(pack).outcome == Acquire::busy);
  CHECK(try_lock(pack, Mode::shared).outcome == Acquire::busy);
  first.lock->release();
  CHECK(try_lock(pack).outcome == Acquire::held);
}

TEST_CASE("sharers share and keep an exclusive attempt out") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  const auto first = try_lock(pack, Mode::shared);
  const auto second = try_lock(pack, Mode::shared);
  CHECK(second.outcome == Acquire::held);
  CHECK(try_lock(pack).outcome == Acquire::busy);
}

TEST_CASE("dropping a lock releases it and marks its record") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  {
    const auto attempt = try_lock(pack);
    core::HeldLock& lock = const_cast<core::HeldLock&>(*attempt.lock);
    REQUIRE(*lock.write_record(record()) == core::Recorded::first_written);
    const auto written = core::parse_record(test::content_of(dir / ".grex-lock"));
    REQUIRE(written);
    CHECK_FALSE(written->release);
    CHECK(written->path == dir / ".grex-lock");
  }
  CHECK(core::parse_record(test::content_of(dir / ".grex-lock"))->release);
  CHECK(test::exists(dir / ".grex-lock"));
  CHECK(try_lock(pack).outcome == Acquire::held);
}

TEST_CASE("a lock that a copy of the descriptor has unlocked leaves the next holder's record alone") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  auto first = try_lock(pack);
  REQUIRE(*first.lock->write_record(record()) == core::Recorded::first_written);
  REQUIRE(sys::unlock(first.lock->files().front().file.fd.get()));
  auto second = try_lock(pack);
  core::Record seconds = record();
  seconds.note = "second";
  REQUIRE(*second.lock->write_record(seconds) == core::Recorded::written);
  const std::string written = test::content_of(dir / ".grex-lock");
  first.lock->complete_record(core::own_identity());
  CHECK(test::content_of(dir / ".grex-lock") == written);
  second.lock->release();
  const std::string released = test::content_of(dir / ".grex-lock");
  CHECK(released != written);
  first.lock->release();
  CHECK(test::content_of(dir / ".grex-lock") == released);
}

TEST_CASE("an abandoned lock stays while another copy of the descriptor is open") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  auto first = try_lock(pack);
  UniqueFd copy(::dup(first.lock->files().front().file.fd.get()));
  first.lock->abandon();
  CHECK(try_lock(pack).outcome == Acquire::busy);
  copy.reset();
  CHECK(try_lock(pack).outcome == Acquire::held);
}

TEST_CASE("an explicit release frees the lock for every copy of the descriptor") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  auto first = try_lock(pack);
  const UniqueFd copy(::dup(first.lock->files().front().file.fd.get()));
  first.lock->release();
  CHECK(try_lock(pack).outcome == Acquire::held);
}

TEST_CASE("a shared holder writes no record and keeps an existing one") {
  const TempDir dir;
  // An exclusive holder would write into the last two.
  for (const std::string& content : {std::string("stale"), std::string(), core::to_line(record())}) {
    CAPTURE(content);
    test::write_file(dir / ".grex-lock", content);
    auto attempt = try_lock(flat(Tier::per_pack, dir.path()), Mode::shared);
    CHECK(*attempt.lock->write_record(record()) == core::Recorded::none);
    CHECK(test::content_of(dir / ".grex-lock") == content);
    attempt.lock->release();
    CHECK(test::content_of(dir / ".grex-lock") == content);
  }
}

TEST_CASE("if a lock file is removed while it is held, the next attempt locks a new file") {
  const TempDir dir;
  const LockRequest pack = flat(Tier::per_pack, dir.path());
  const auto old = try_lock(pack);
  std::filesystem::remove(dir / ".grex-lock");
  const auto fresh = try_lock(pack);
  REQUIRE(fresh.lock);
  CHECK(fresh.lock->stack_entries().front().file != old.lock->stack_entries().front().file);
  CHECK(try_lock(pack).outcome == Acquire::busy);
}

// SECURITY.md: replace the directory while the lock is taken | the directory that the path names is locked
TEST_CASE("if a directory is replaced before the lock, the one that the path names now is locked") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const LockRequest request = flat(Tier::per_pack, pack);
  auto targets = targets_of({request});
  std::filesystem::rename(pack, dir / "old");
  dir.make("app");
  const auto attempt = acquire_now(std::move(targets));
  REQUIRE(attempt.end);
  REQUIRE(attempt.locks.size() == 1);
  CHECK(test::is_locked(pack + "/.grex-lock"));
  CHECK_FALSE(test::is_locked(dir / "old/.grex-lock"));
}

TEST_CASE("a target that is gone when the lock is taken is not found") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const LockRequest request = flat(Tier::per_pack, pack);
  auto targets = targets_of({request});
  std::filesystem::rename(pack, dir / "old");
  const auto attempt = acquire_now(std::move(targets));
  REQUIRE_FALSE(attempt.end);
  CHECK(attempt.end.error().kind == ErrorKind::not_found);
}

TEST_CASE("as many attempts succeed as there are slots") {
  const TempDir dir;
  const LockRequest slots = flat(Tier::semaphore, dir.path(), 2);
  auto first = try_lock(slots);
  const auto second = try_lock(slots);
  CHECK(first.lock->path() != second.lock->path());
  CHECK(try_lock(slots).outcome == Acquire::busy);
  first.lock->release();
  CHECK(try_lock(slots).outcome == Acquire::held);
}

TEST_CASE("unbounded slots need no lock") {
  const TempDir dir;
  const auto attempt = try_lock(flat(Tier::semaphore, dir.path(), 0));
  CHECK(attempt.outcome == Acquire::held);
  CHECK_FALSE(attempt.lock);
}

TEST_CASE("several locks are taken in the order of their tiers and paths, and duplicates once") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  const auto attempt =
      acquire_now(targets_of({flat(Tier::manifest, a), flat(Tier::per_pack, b), flat(Tier::per_pack, a),
                              flat(Tier::workspace_sync, dir.path()), flat(Tier::per_pack, b + "/../b")}));
  CHECK(paths_of(attempt) == std::vector<std::string>{dir / ".grex.sync.lock", a + "/.grex-lock", b + "/.grex-lock",
                                                      a + "/.grex/.grex.lock"});
}

TEST_CASE("either all of several locks are held or none") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  const test::Fd other = test::lock_as_grex(b + "/.grex-lock");
  const auto attempt = acquire_now(targets_of({flat(Tier::per_pack, a), flat(Tier::per_pack, b)}));
  CHECK(attempt.end->outcome == Acquire::busy);
  CHECK(attempt.at.target == 1);
  CHECK(attempt.locks.empty());
  CHECK_FALSE(test::is_locked(a + "/.grex-lock"));
}

TEST_CASE("a lock has two files, the flat one first, but one at tier manifest") {
  const TempDir dir;
  const auto attempt = acquire_now(targets_of({{Tier::manifest, dir.path()}, {Tier::per_pack, dir.path()}}));
  CHECK(paths_of(attempt) ==
        std::vector<std::string>{dir / ".grex-lock", dir / ".grex/.grex-lock", dir / ".grex/.grex.lock"});
  CHECK(attempt.locks.size() == 2);
}

// The order is that of inodes, so it is asked of what is locked while another file is busy.
TEST_CASE("the flat files of all locks are taken before the nested ones, in the order of their directories") {
  const TempDir dir;
  const auto [first, second] = dir.make_two();
  const std::vector<std::string> packs = {first, second};
  const auto inode_of = [](const std::string& path) { return sys::status_of(path)->id.ino; };
  const auto taken_beside = [&](const std::string& busy) {
    const test::Fd other = test::lock_as_grex(busy);
    std::vector<std::string> locked;
    class Look : public core::WaitObserver {
     public:
      explicit Look(std::function<void()> look) : look_(std::move(look)) {}
      void wait_begins(const core::Target& /*target*/, const core::TargetFile& /*file*/) override { look_(); }
      void wait_ends() override {}

     private:
      std::function<void()> look_;
    };
    Look look([&] {
      for (const std::string& pack : packs) {
        for (const char* const name : {"/.grex-lock", "/.grex/.grex-lock"}) {
          if (pack + name != busy && test::is_locked(pack + name)) locked.push_back(pack + name);
        }
      }
    });
    auto targets = targets_of({{Tier::per_pack, packs[1]}, {Tier::per_pack, packs[0]}});
    CHECK(core::acquire(targets, {.deadline = Deadline::clock::now() + 1ms, .observer = &look}).end->outcome ==
          Acquire::timed_out);
    return locked;
  };
  CHECK(taken_beside(first + "/.grex-lock").empty());
  CHECK(taken_beside(second + "/.grex-lock") == std::vector<std::string>{first + "/.grex-lock"});
  const bool is_same_order = inode_of(first + "/.grex") < inode_of(second + "/.grex");
  const std::string& nested_first = is_same_order ? first : second;
  CHECK(taken_beside(nested_first + "/.grex/.grex-lock").size() == 2);
}

TEST_CASE("of two names of one file, the exclusive one is locked") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  test::write_file(a + "/.grex-lock", "");
  std::filesystem::create_hard_link(a + "/.grex-lock", b + "/.grex-lock");
  LockRequest shared = flat(Tier::per_pack, a);
  shared.mode = Mode::shared;
  const auto attempt = acquire_now(targets_of({shared, flat(Tier::per_pack, a)}));
  REQUIRE(attempt.locks.size() == 1);
  CHECK(attempt.locks.front().mode() == Mode::exclusive);
}

TEST_CASE("a record that an earlier release left in the flat file is removed, other content stays") {
  const TempDir dir;
  test::write_file(dir / ".grex-lock", core::to_line(record()));
  CHECK(try_lock({Tier::per_pack, dir.path()}).outcome == Acquire::held);
  CHECK(test::content_of(dir / ".grex-lock").empty());
  test::write_file(dir / ".grex-lock", "kept");
  CHECK(try_lock({Tier::per_pack, dir.path()}).outcome == Acquire::held);
  CHECK(test::content_of(dir / ".grex-lock") == "kept");
}

TEST_CASE("a lock file that is a hard link to another of the same command is locked once") {
  const TempDir dir;
  const std::string a = dir.make("a");
  const std::string b = dir.make("b");
  test::write_file(a + "/.grex-lock", "");
  std::filesystem::create_hard_link(a + "/.grex-lock", b + "/.grex-lock");
  auto targets = targets_of({flat(Tier::per_pack, a), flat(Tier::per_pack, b)});
  const auto attempt = core::acquire(targets, {});  // locking the file twice would wait forever
  CHECK(attempt.end->outcome == Acquire::held);
  CHECK(attempt.locks.size() == 1);
}

TEST_CASE("one deadline covers all locks, and a timeout releases those that were taken") {
  const TempDir dir;
  const auto [a, b] = dir.make_two();
  for (auto time = 20ms;; time *= 2) {
    REQUIRE(time < 1min);
    HandOver hand_over(a + "/.grex-lock", b + "/.grex-lock", Deadline::clock::now() + time);
    auto targets = targets_of({flat(Tier::per_pack, a), flat(Tier::per_pack, b)});
    const auto attempt = core::acquire(targets, {.deadline = hand_over.deadline(), .observer = &hand_over});
    // On a slow machine, the first lock may come too late.
    const std::string& last = targets[attempt.at.target].path;
    if (attempt.end->outcome == Acquire::timed_out && last == a) continue;
    CHECK(attempt.end->outcome == Acquire::timed_out);
    CHECK(last == b);
    CHECK(hand_over.waits() == 2);
    CHECK(attempt.locks.empty());
    CHECK_FALSE(test::is_locked(a + "/.grex-lock"));
    return;
  }
}

TEST_CASE("a lock that an ancestor seems to hold is tried once, and never waited for") {
  const TempDir dir;
  auto other = try_lock(flat(Tier::manifest, dir.path()));
  std::vector<core::Target> targets = targets_of({flat(Tier::per_pack, dir.path()), flat(Tier::manifest, dir.path())});
  targets[1].files.front().if_busy = core::WhenBusy::report;
  const core::Attempt busy = core::acquire(targets, {});
  CHECK(busy.end->outcome == Acquire::busy);
  CHECK(busy.at.target == 1);
  CHECK(busy.locks.empty());
  other.lock.reset();
  CHECK(core::acquire(targets, {}).locks.size() == 2);
}

TEST_CASE("slots are never shared") {
  const TempDir dir;
  const LockRequest slot = flat(Tier::semaphore, dir.path(), 1);
  const auto first = try_lock(slot, Mode::shared);
  CHECK(first.lock->mode() == Mode::exclusive);
  CHECK(try_lock(slot, Mode::shared).outcome == Acquire::busy);
}

TEST_CASE("a probe reports the state and creates nothing") {
  const TempDir dir;
  for (const Tier tier : core::all_tiers) {
    CHECK(core::probe(target_of({tier, dir.path(), 2}))->outcome == Acquire::held);
  }
  CHECK(std::filesystem::is_empty(dir.path()));
  CHECK_FALSE(test::exists(dir / "../.grex-backend-dir.lock"));

  const LockRequest pack = flat(Tier::per_pack, dir.path());
  const auto sharer = try_lock(pack, Mode::shared);
  CHECK(core::probe(target_of(pack))->outcome == Acquire::busy);
  LockRequest shared = pack;
  shared.mode = Mode::shared;
  CHECK(core::probe(target_of(shared))->outcome == Acquire::held);
}
