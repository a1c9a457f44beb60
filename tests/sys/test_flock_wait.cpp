#include "sys/lock/flock_wait.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using namespace std::chrono_literals;
using sys::Acquire;
using sys::Mode;
using test::TempDir;

namespace {

sys::LockFile open_file(const std::string& path) {
  return {UniqueFd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)), {}};
}

}  // namespace

TEST_CASE("a free lock is taken immediately") {
  const TempDir dir;
  sys::LockFile file = open_file(dir / "lock");
  CHECK(sys::wait_lock(file, Mode::exclusive, std::nullopt)->outcome == Acquire::held);
}

TEST_CASE("a deadline that has passed ends the wait before it begins") {
  const TempDir dir;
  const test::Fd holder = test::lock_as_grex(dir / "lock");
  sys::LockFile file = open_file(dir / "lock");
  CHECK(sys::wait_lock(file, Mode::exclusive, Deadline::clock::now() - 1s)->outcome == Acquire::timed_out);
}

TEST_CASE("a deadline ends the wait whenever it passes, and never early") {
  const TempDir dir;
  const test::Fd holder = test::lock_as_grex(dir / "lock");
  sys::LockFile file = open_file(dir / "lock");
  // From 0 to 1 ms: some pass before flock(2) blocks, others while it does.
  for (int i = 0; i < 500; ++i) {
    const auto deadline = Deadline::clock::now() + i * 2us;
    CHECK(sys::wait_lock(file, Mode::exclusive, deadline)->outcome == Acquire::timed_out);
    CHECK(Deadline::clock::now() >= deadline);
  }
}

TEST_CASE("a signal ends the wait whenever it arrives, and leaves nothing that could take the lock") {
  const TempDir dir;
  const test::Fd holder = test::lock_as_grex(dir / "lock");
  // The parent sends it at any moment between the child's first step and its wait, or in
  // the wait.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    for (int i = 0; i < 100; ++i) {
      int ready[2];
      REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
      test::Process child({"true"}, {.before_exec = [&] {
                            sys::LockFile file = open_file(dir / "lock");
                            // The signal stays blocked until the wait handles it; otherwise it would kill the child.
                            sigset_t all;
                            sigfillset(&all);
                            ::sigprocmask(SIG_BLOCK, &all, nullptr);
                            (void)!::write(ready[1], "x", 1);
                            const auto end = sys::wait_lock(file, Mode::exclusive, std::nullopt);
                            const bool right = end && end->outcome == Acquire::cancelled &&
                                               end->signal.number == signal && !end->signal.from_terminal;
                            ::_exit(right ? 0 : 1);
                          }});
      ::close(ready[1]);
      char byte = 0;
      REQUIRE(::read(ready[0], &byte, 1) == 1);
      ::close(ready[0]);
      if (i % 4 == 0) test::until([&dir] { return test::waiters_on(dir / "lock") == 1; });
      child.signal(signal);
      REQUIRE(child.wait() == test::exited(0));
    }
  }
  CHECK(test::waiters_on(dir / "lock") == 0);
}

TEST_CASE("without room for queued signals, a wait ends as it does with room") {
  const TempDir dir;
  test::Fd holder = test::lock_as_grex(dir / "lock");
  sys::LockFile file = open_file(dir / "lock");
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_SIGPENDING, &old) == 0);
  const rlimit none = {0, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_SIGPENDING, &none) == 0);
  const auto deadline = Deadline::clock::now() + 1ms;
  CHECK(sys::wait_lock(file, Mode::exclusive, deadline)->outcome == Acquire::timed_out);
  CHECK(Deadline::clock::now() >= deadline);
  holder.reset();
  CHECK(sys::wait_lock(file, Mode::exclusive, std::nullopt)->outcome == Acquire::held);
  ::setrlimit(RLIMIT_SIGPENDING, &old);
  CHECK(test::is_locked(dir / "lock"));
}

TEST_CASE("the wait restores the signal handlers and the mask") {
  const TempDir dir;
  const test::Fd holder = test::lock_as_grex(dir / "lock");
  sys::LockFile file = open_file(dir / "lock");
  struct sigaction before[4]{};
  struct sigaction after[4]{};
  const int signals[4] = {SIGTERM, SIGINT, SIGHUP, SIGRTMIN};
  sigset_t mask_before;
  sigset_t mask_after;
  for (int i = 0; i < 4; ++i) ::sigaction(signals[i], nullptr, &before[i]);
  ::sigprocmask(SIG_BLOCK, nullptr, &mask_before);
  CHECK(sys::wait_lock(file, Mode::exclusive, Deadline::clock::now() + 1ms)->outcome == Acquire::timed_out);
  ::sigprocmask(SIG_BLOCK, nullptr, &mask_after);
  for (int i = 0; i < 4; ++i) {
    ::sigaction(signals[i], nullptr, &after[i]);
    CHECK((before[i].sa_handler == after[i].sa_handler));
    CHECK(sigismember(&mask_before, signals[i]) == sigismember(&mask_after, signals[i]));
  }
}

TEST_CASE("an ignored signal does not end the wait") {
  const TempDir dir;
  test::Fd holder = test::lock_as_grex(dir / "lock");
  test::Process child({"true"}, {.before_exec = [&] {
                        ::signal(SIGHUP, SIG_IGN);
                        holder.reset();  // the child's copy only
                        sys::LockFile file = open_file(dir / "lock");
                        const auto end = sys::wait_lock(file, Mode::exclusive, std::nullopt);
                        ::_exit(end && end->outcome == Acquire::held ? 0 : 1);
                      }});
  test::until([&] { return test::waiters_on(dir / "lock") == 1; });
  child.signal(SIGHUP);
  holder.reset();
  CHECK(child.wait() == test::exited(0));
}

TEST_CASE("an alarm that was set before the wait is not mistaken for the deadline") {
  const TempDir dir;
  const test::Fd holder = test::lock_as_grex(dir / "lock");
  test::Process child({"true"}, {.before_exec = [&] {
                        sys::LockFile file = open_file(dir / "lock");
                        ::ualarm(1000, 0);
                        (void)sys::wait_lock(file, Mode::exclusive, std::nullopt);
                        ::_exit(0);
                      }});
  CHECK(child.wait() == test::killed_by(SIGALRM));
}
