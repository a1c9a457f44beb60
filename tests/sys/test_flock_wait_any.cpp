#include "sys/lock/flock_wait_any.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using namespace std::chrono_literals;
using sys::Acquire;
using sys::Mode;
using test::TempDir;

namespace {

constexpr std::size_t count = 3;

// Some lock files, each with a holder.
struct Files {
  TempDir dir;
  std::array<test::Fd, count> holders;

  Files() {
    for (std::size_t i = 0; i < count; ++i) holders.at(i) = test::lock_as_grex(path(i));
  }
  [[nodiscard]] std::string path(std::size_t i) const { return dir / std::to_string(i); }
  [[nodiscard]] bool all_are_waited_for() const {
    for (std::size_t i = 0; i < count; ++i) {
      if (test::waiters_on(path(i)) != 1) return false;
    }
    return true;
  }
  [[nodiscard]] std::size_t locked() const {
    std::size_t locked = 0;
    for (std::size_t i = 0; i < count; ++i) locked += test::is_locked(path(i)) ? 1 : 0;
    return locked;
  }
};

// This process's own descriptors of the files.
struct Opened {
  std::array<sys::LockFile, count> files;

  explicit Opened(const Files& of) {
    for (std::size_t i = 0; i < count; ++i) files.at(i).fd.reset(::open(of.path(i).c_str(), O_RDWR | O_CLOEXEC));
  }
};

// The kernel may list a thread for a moment after it was joined.
void until_one_thread() {
  test::until([] {
    const std::filesystem::directory_iterator threads("/proc/self/task");
    return std::distance(begin(threads), end(threads)) == 1;
  });
}

bool has_lock(int fd) {
  return test::content_of("/proc/self/fdinfo/" + std::to_string(fd)).find("lock:") != std::string::npos;
}

// The child's part: waits for any of the files, and calls `then` with the lock held.
// Returns the exit status: the index of the file that is locked, or one of these.
constexpr int was_cancelled = 100;
constexpr int was_wrong = 101;
int wait_and_report(Files& files, const std::function<void()>& then) {
  for (test::Fd& holder : files.holders) holder.reset();  // only the parent's copies count
  Opened ours(files);
  const auto any = sys::wait_any(ours.files, Mode::exclusive, std::nullopt);
  if (!any) return was_wrong;
  until_one_thread();
  const bool held = any->end.outcome == Acquire::held;
  for (std::size_t i = 0; i < count; ++i) {
    if (has_lock(ours.files.at(i).fd.get()) != (held && i == any->index)) return was_wrong;
  }
  if (!held)
    return any->end.outcome == Acquire::cancelled && any->end.signal.number == SIGTERM ? was_cancelled : was_wrong;
  if (then) then();
  return static_cast<int>(any->index);
}

pid_t wait_in_child(Files& files, const std::function<void()>& then = {}) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid != 0) return pid;
  // The child must not run the signal handlers of doctest.
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_DFL);
  try {
    ::_exit(wait_and_report(files, then));
  } catch (const std::exception&) {
    ::_exit(was_wrong);
  }
}

int status_of(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a lock that is already free is taken") {
  Files files;
  files.holders[1].reset();
  Opened ours(files);
  const auto any = sys::wait_any(ours.files, Mode::exclusive, std::nullopt);
  CHECK(any->end.outcome == Acquire::held);
  CHECK(any->index == 1);
  CHECK(test::is_locked(files.path(1)));
  until_one_thread();
}

TEST_CASE("the lock that comes free first ends the wait, and only that one is held") {
  for (std::size_t i = 0; i < count; ++i) {
    Files files;
    const pid_t child = wait_in_child(files);
    test::until([&files] { return files.all_are_waited_for(); });
    files.holders.at(i).reset();
    CHECK(status_of(child) == static_cast<int>(i));
  }
}

TEST_CASE("if several locks come free together, all but one are released") {
  for (int round = 0; round < 50; ++round) {
    Files files;
    const pid_t child = wait_in_child(files, [&files] { test::until([&files] { return files.locked() == 1; }); });
    for (test::Fd& holder : files.holders) holder.reset();
    const int status = status_of(child);
    CHECK((status >= 0 && status < static_cast<int>(count)));
    CHECK(files.locked() == 0);
  }
}

TEST_CASE("a deadline ends the wait for any lock whenever it passes, and leaves no thread") {
  const Files files;
  Opened ours(files);
  for (int i = 0; i < 100; ++i) {
    const auto deadline = Deadline::clock::now() + i * 10us;
    CHECK(sys::wait_any(ours.files, Mode::exclusive, deadline)->end.outcome == Acquire::timed_out);
    CHECK(Deadline::clock::now() >= deadline);
    until_one_thread();
  }
}

TEST_CASE("a signal ends the wait for any lock and leaves nothing that could take one") {
  for (int round = 0; round < 20; ++round) {
    Files files;
    const pid_t child = wait_in_child(files);
    test::until([&files] { return files.all_are_waited_for(); });
    ::kill(child, SIGTERM);
    CHECK(status_of(child) == was_cancelled);
    for (test::Fd& holder : files.holders) holder.reset();
    CHECK(files.locked() == 0);
  }
}

TEST_CASE("a signal that arrives with the lock leaves it either held or free") {
  int held = 0;
  int cancelled = 0;
  // Until both outcomes have occurred.
  for (int round = 0; round < 100 || held == 0 || cancelled == 0; ++round) {
    REQUIRE(round < 10'000);
    Files files;
    const pid_t child = wait_in_child(files);
    test::until([&files] { return files.all_are_waited_for(); });
    const bool signal_first = round % 2 == 0;
    if (signal_first) ::kill(child, SIGTERM);
    files.holders[2].reset();
    if (!signal_first) ::kill(child, SIGTERM);
    const int status = status_of(child);
    // After the wait, SIGTERM kills the child, which has no handler of its own.
    CHECK((status == 2 || status == was_cancelled || status == -1));
    ++(status == was_cancelled ? cancelled : held);
    CHECK_FALSE(test::is_locked(files.path(2)));
  }
}

TEST_CASE("a wait for any lock needs no room for queued signals") {
  for (int round = 0; round < 5; ++round) {
    Files files;
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_SIGPENDING, &old) == 0);
    const rlimit none = {0, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_SIGPENDING, &none) == 0);
    const pid_t child = wait_in_child(files);
    ::setrlimit(RLIMIT_SIGPENDING, &old);
    test::until([&files] { return files.all_are_waited_for(); });
    files.holders[0].reset();
    CHECK(status_of(child) == 0);
  }
}
