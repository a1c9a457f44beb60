// Lock files on which another process has a lease (F_SETLEASE), as Samba and NFS servers have.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// A lease of this process, which ignores the requests to give it up.
class Lease {
 public:
  explicit Lease(const std::string& path, int type = F_WRLCK) {
    ::signal(SIGIO, SIG_IGN);
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    const int access = type == F_WRLCK ? O_RDWR : O_RDONLY;
    file_.reset(::open(path.c_str(), access | O_CREAT | O_CLOEXEC, 0666));
    if (::fcntl(file_.get(), F_SETLEASE, type) != 0) throw std::runtime_error("no lease on " + path);
    type_ = type;
  }
  // Whether another process has opened the file, or tries to.
  [[nodiscard]] bool is_being_broken() const { return ::fcntl(file_.get(), F_GETLEASE) != type_; }
  void end() { file_.reset(); }

 private:
  Fd file_;
  int type_ = F_WRLCK;
};

std::string leased_by_us() { return "leased by pid " + std::to_string(::getpid()) + " ("; }

void until_broken(const Lease& lease) {
  until([&lease] { return lease.is_being_broken(); });
}

}  // namespace

TEST_CASE("run, hold and wait wait for the end of a lease on any file of the lock") {
  for (const char* const file : {".grex-lock", ".grex/.grex-lock"}) {
    CAPTURE(file);
    const TempDir dir;
    {
      Lease lease(dir / file);
      Process run(grex_lock({"run", dir.path(), "--", "flock", "-n", dir / file, "true"}));
      until_broken(lease);
      lease.end();
      CHECK(run.wait() == exited(1));  // it was locked
    }
    {
      Lease lease(dir / file);
      Process wait(grex_lock({"wait", dir.path()}));
      until_broken(lease);
      lease.end();
      CHECK(wait.wait() == exited(0));
    }
    Lease lease(dir / file);
    Process hold(grex_lock({"hold", dir.path()}));
    until_broken(lease);
    lease.end();
    CHECK(hold.line().starts_with("pid "));
    CHECK(is_locked(dir / file));
    CHECK(json::parse(content_of(dir / ".grex/.grex-lock"))["verb"] == "hold");
  }
}

TEST_CASE("a reader's lease is broken by those that write into the lock file") {
  const TempDir dir;
  Lease lease(dir / ".grex/.grex-lock", F_RDLCK);
  Process run(grex_lock({"run", dir.path(), "--", "echo", "ran"}));
  until_broken(lease);
  lease.end();
  CHECK(run.line() == "ran");
  CHECK(run.wait() == exited(0));
  Lease harmless(dir / ".grex-lock", F_RDLCK);
  CHECK(run_tool({"run", "-n", dir.path(), "--", "true"}).ended == exited(0));
  CHECK_FALSE(harmless.is_being_broken());
}

// SECURITY.md: take a lease on the lock file, so that grex-lock hangs | it is busy: `-n`, `-w` and signals end the
// wait, and the kernel ends the lease
TEST_CASE("without waiting, or when the time is over, a leased lock file is busy, and its lease is named") {
  const TempDir dir;
  const Lease lease(dir / ".grex-lock");
  const Finished busy = run_tool({"run", "-n", dir.path(), "--", "true"});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.starts_with("grex-lock: busy: " + (dir / ".grex-lock") + ": " + leased_by_us()));
  const Finished late = run_tool({"run", "-w", "50ms", dir.path(), "--", "true"});
  CHECK(late.ended == exited(75));
  CHECK(late.err.starts_with("grex-lock: timed out after "));
  CHECK(late.err.find(leased_by_us()) != std::string::npos);
  const Finished probe = run_tool({"probe", "--json", dir.path()});
  CHECK(probe.ended == exited(75));
  CHECK(json::parse(probe.out)["error"]["kind"] == "busy");
  CHECK(run_tool({"hold", "-n", "-E", "9", dir.path()}).ended == exited(9));
  CHECK(run_tool({"wait", "-n", dir.path()}).ended == exited(75));
}

// SECURITY.md: take a lease on the lock file, so that grex-lock hangs | it is busy: `-n`, `-w` and signals end the
// wait, and the kernel ends the lease
TEST_CASE("a signal ends the wait for the end of a lease immediately") {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const TempDir dir;
    const Lease lease(dir / ".grex-lock");
    Process run(grex_lock({"run", dir.path(), "--", "true"}));
    until_broken(lease);
    run.signal(signal);
    CHECK(run.wait() == exited(128 + signal));
    CHECK(run.error_rest().starts_with("grex-lock: cancelled: "));
    const TempDir other;
    const Lease nested(other / ".grex/.grex-lock");
    Process hold(grex_lock({"hold", "--detach", other.path()}));
    until_broken(nested);
    hold.signal(signal);
    CHECK(hold.wait() == exited(128 + signal));
    CHECK_FALSE(is_locked(other / ".grex-lock"));
    CHECK_FALSE(left_children());
  }
}

TEST_CASE("the end of the process of --while-pid ends the wait for the end of a lease") {
  const TempDir dir;
  const Lease lease(dir / ".grex-lock");
  Process other(until_input_closes());
  Process hold(grex_lock({"hold", "--while-pid", std::to_string(other.pid()), dir.path()}));
  until_broken(lease);
  other.close_input();
  CHECK(hold.wait() == exited(128 + SIGTERM));
}

TEST_CASE("the report of a wait names the lease") {
  const TempDir dir;
  Lease lease(dir / ".grex-lock");
  Process run(grex_lock({"run", "-v", dir.path(), "--", "true"}));
  CHECK(run.error_line().starts_with("grex-lock: waiting for " + (dir / ".grex-lock") + ": " + leased_by_us()));
  lease.end();
  CHECK(run.wait() == exited(0));
}

TEST_CASE("status and release open no leased file") {
  const TempDir dir;
  write_file(dir / ".grex/.grex-lock", "{\"pid\":1}\n");
  const Lease flat(dir / ".grex-lock");
  const Lease nested(dir / ".grex/.grex-lock");
  const Finished text = run_tool({"status", dir.path()});
  CHECK(text.ended == exited(0));
  CHECK(text.out.find(leased_by_us()) != std::string::npos);
  const json lock = json::parse(run_tool({"status", "--json", dir.path()}).out)["locks"][2];
  CHECK(lock["tier"] == "per-pack");
  CHECK((lock["state"] == "free" ? lock["evidence"] == "kernel" : lock["reason"] == "leased"));
  CHECK(run_tool({"status", "-r", dir.path()}).ended == exited(0));
  CHECK(run_tool({"status", "--all"}).ended == exited(0));
  CHECK(run_tool({"release", dir.path()}).ended == exited(69));
  CHECK_FALSE(flat.is_being_broken());
  CHECK_FALSE(nested.is_being_broken());
}

TEST_CASE("status names the lease on any file of a free lock") {
  const TempDir dir;
  run_tool({"run", dir.path(), "--", "true"});
  for (const char* const name : {".grex-lock", ".grex/.grex-lock"}) {
    CAPTURE(name);
    const Lease lease(dir / name);
    CHECK(run_tool({"status", dir.path()}).out.find(leased_by_us()) != std::string::npos);
    CHECK_FALSE(lease.is_being_broken());
  }
}

TEST_CASE("a leased slot is waited for like a slot that is held, and a leased queue, too") {
  const TempDir dir;
  const auto slot = [&dir](int number) { return dir / (".grex/.grex.slot-" + std::to_string(number) + ".lock"); };
  const Words command = grex_lock({"run", "-t", "semaphore", "--slots=2", dir.path(), "--", "echo", "mine"});
  Lease first(slot(0));
  CHECK(finish(command).out == "mine\n");  // the other one
  Fd second = lock_as_grex(slot(1));
  SUBCASE("the leased one becomes free") {
    Process waiter(command);
    until([&] { return waiters_on(slot(1)) == 1; });
    first.end();
    CHECK(waiter.line() == "mine");
  }
  SUBCASE("the other one becomes free") {
    Process waiter(command);
    until([&] { return waiters_on(slot(1)) == 1; });
    second.reset();
    CHECK(waiter.line() == "mine");
    CHECK(waiter.wait() == exited(0));
  }
  SUBCASE("the queue is leased") {
    Lease queue(dir / ".grex/.grex.slot-queue-2.lock");
    Process waiter(command);
    until_broken(queue);
    queue.end();
    until([&] { return waiters_on(slot(1)) == 1; });
    second.reset();
    CHECK(waiter.line() == "mine");
  }
}

// SECURITY.md: use a FIFO, a socket or a device, so that grex-lock hangs or has a side effect | refused immediately, 77
TEST_CASE("a FIFO that takes a leased file's place hangs nothing") {
  const TempDir dir;
  Lease lease(dir / ".grex-lock");
  Process run(grex_lock({"run", dir.path(), "--", "true"}));
  until_broken(lease);
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0666) == 0);
  std::filesystem::rename(dir / "fifo", dir / ".grex-lock");
  lease.end();
  CHECK(run.wait() == exited(77));
}
