#include "etcd/job.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "sys/process/pidfd.hpp"
#include "sys/process/proc.hpp"

using namespace grex;

namespace {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
  Pipe() {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
};

// The process that started this one runs other tests, too.
constexpr pid_t no_process = 0;

void set_command(etcd::Job& job, pid_t pid) {
  auto process = sys::open_process(pid);
  REQUIRE(process);
  job.set_command(pid, std::move(*process));
}

// Each prints its PID. The second one is in a session of its own.
const std::string with_daemon = "setsid sh -c 'echo $$; exec sleep 1000' & read line; kill -9 $$";

}  // namespace

TEST_CASE("a noted descendant of the command is ended even if its parents have ended") {
  const Pipe pipe;
  etcd::Job job(pipe.read_end.get(), no_process);
  CHECK(job.has_ended());
  test::Process command({"sh", "-c", with_daemon});
  set_command(job, command.pid());
  const pid_t daemon = std::stoi(command.line());
  job.note_descendants();
  command.write("\n");
  CHECK(command.wait() == test::killed_by(SIGKILL));
  CHECK_FALSE(job.has_ended());
  CHECK(job.pidfds().size() == 1);
  job.send(SIGKILL);
  test::reap(daemon);
  CHECK(job.has_ended());
}

TEST_CASE("a process below one that was noted is found although both have lost their ancestors") {
  const Pipe pipe;
  etcd::Job job(pipe.read_end.get(), no_process);
  test::Process command(
      {"sh", "-c", "setsid sh -c 'echo $$; read line; sleep 1000 & echo $!; wait' <&0 & read line; kill -9 $$"});
  set_command(job, command.pid());
  const pid_t daemon = std::stoi(command.line());
  job.note_descendants();
  ::kill(command.pid(), SIGKILL);
  command.wait();
  command.write("\n");
  const pid_t later = std::stoi(command.line());
  job.note_descendants();
  job.send(SIGKILL);
  test::reap(daemon);
  test::reap(later);
  CHECK(job.has_ended());
}

TEST_CASE("a process that has the liveness pipe open for writing is found, and no other one") {
  const Pipe pipe;
  etcd::Job job(pipe.read_end.get(), no_process);
  const auto inherits = [](int fd) { return test::Setup{.before_exec = [fd] { ::dup2(fd, 10); }}; };
  test::Process writer({"sh", "-c", "echo; read line"}, inherits(pipe.write_end.get()));
  test::Process reader({"sh", "-c", "echo; read line"}, inherits(pipe.read_end.get()));
  writer.line();
  reader.line();
  job.note_by_pipe();
  CHECK(job.pidfds().size() == 1);
  job.send(SIGTERM);
  CHECK(writer.wait() == test::killed_by(SIGTERM));
  CHECK(job.has_ended());
  reader.close_input();
  CHECK(reader.wait() == test::exited(1));
}

TEST_CASE("another keeper below the command is left alone") {
  const Pipe pipe;
  const test::TempDir dir;
  const std::string own_name = std::filesystem::read_symlink("/proc/self/exe").filename();
  std::filesystem::create_symlink("/bin/sleep", dir / own_name);
  etcd::Job job(pipe.read_end.get(), no_process);
  test::Process command({"sh", "-c", dir / own_name + " 1000 & echo $!; wait"});
  set_command(job, command.pid());
  const pid_t keeper = std::stoi(command.line());
  test::until([&] { return sys::command_name_of(keeper) == own_name; });
  job.note_descendants();
  CHECK(job.pidfds().size() == 1);
}

TEST_CASE("a stopped process gets SIGTERM") {
  const Pipe pipe;
  etcd::Job job(pipe.read_end.get(), no_process);
  test::Process command(test::until_input_closes());
  command.line();
  set_command(job, command.pid());
  command.signal(SIGSTOP);
  job.send(SIGTERM);
  CHECK(command.wait() == test::killed_by(SIGTERM));
}

TEST_CASE("what is below a process that only adopted the keeper is left alone") {
  const Pipe pipe;
  etcd::Job job(pipe.read_end.get(), ::getppid());  // it doesn't have the pipe
  job.include_earlier();
  const test::Process other({"sleep", "1000"});
  job.note_descendants();
  CHECK(job.pidfds().empty());
  CHECK(job.has_ended());
}
