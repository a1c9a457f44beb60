#include "sys/process/child.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/unique_fd.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using test::TempDir;

namespace {

Result<sys::ChildEnd> run(std::vector<std::string> words, std::span<const int> inherit = {}) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const auto signals = sys::ForwardedSignals::begin();
  auto child = sys::Child::start({argv.data(), environ, inherit}, signals);
  auto end = child ? child->wait({.unforwarded = [](int, const Error&) {}}) : child.error();
  signals.restore();
  return end;
}

}  // namespace

TEST_CASE("a command's exit status or signal is reported") {
  CHECK(run({"true"})->status == 0);
  CHECK(run({"sh", "-c", "exit 7"})->status == 7);
  const auto killed = run({"sh", "-c", "kill -KILL $$"});
  CHECK(killed->killed);
  CHECK(killed->status == SIGKILL);
  CHECK_FALSE(killed->from_terminal);
}

TEST_CASE("a command that can't be started is an error with exec's errno and leaves no process") {
  const TempDir dir;
  const auto missing = run({dir / "none"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::exec);
  CHECK(missing.error().err == ENOENT);
  test::write_file(dir / "plain", "");
  CHECK(run({dir / "plain"}).error().err == EACCES);
  CHECK(run({dir.path()}).error().err == EACCES);
  CHECK_FALSE(test::left_children());
}

TEST_CASE("mask and disposition of SIGCHLD are restored after a command") {
  sigset_t before;
  sigset_t after;
  sigemptyset(&before);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ::signal(SIGCHLD, SIG_IGN);
  CHECK(run({"true"})->status == 0);
  ::sigprocmask(SIG_BLOCK, nullptr, &after);
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    CHECK(sigismember(&before, signal) == sigismember(&after, signal));
  }
  CHECK((::signal(SIGCHLD, SIG_DFL) == SIG_IGN));
}

TEST_CASE("an inherited descriptor gets a number that scripts don't use, and others stay closed") {
  const TempDir dir;
  const grex::UniqueFd given(::open((dir / "given").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  const grex::UniqueFd kept(::open((dir / "kept").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  const int inherit[] = {given.get()};
  const std::string script = "for f in /proc/self/fd/*; do n=${f##*/}; case $(readlink $f) in " + (dir / "given") +
                             ") test $n -ge 10 && g=1;; " + (dir / "kept") + ") k=1;; esac; done; test \"$g$k\" = 1";
  CHECK(run({"sh", "-c", script}, inherit)->status == 0);
  CHECK((::fcntl(given.get(), F_GETFD) & FD_CLOEXEC) != 0);
}
