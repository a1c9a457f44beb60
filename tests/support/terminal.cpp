#include "support/terminal.hpp"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <vector>

namespace grex::test {
namespace {

constexpr int hung_ms = 60'000;

bool read_more(int fd, std::string& buffer, const std::string& expected = "its end") {
  pollfd ready = {fd, POLLIN, 0};
  if (::poll(&ready, 1, hung_ms) == 0) {
    throw std::runtime_error("hung: the terminal does not show '" + expected + "'; so far: " + buffer);
  }
  std::array<char, 4096> chunk;
  const ssize_t size = ::read(fd, chunk.data(), chunk.size());
  if (size <= 0) return false;  // EIO: no process has the terminal open any more
  buffer.append(chunk.data(), static_cast<std::size_t>(size));
  return true;
}

}  // namespace

Terminal::Terminal(const Words& argv, const Setup& setup) {
  int master = -1;
  pid_ = ::forkpty(&master, nullptr, nullptr, nullptr);
  if (pid_ < 0) throw std::runtime_error("forkpty failed");
  if (pid_ == 0) {
    ::setenv("TERM", "xterm", 1);
    ::setenv("HISTFILE", "", 1);
    for (const auto& [name, value] : setup.environment) {
      if (value) ::setenv(name.c_str(), value->c_str(), 1);
    }
    if (setup.before_exec) setup.before_exec();
    exec_or_exit(argv);
  }
  master_.reset(master);
}

Terminal::~Terminal() {
  ::kill(pid_, SIGKILL);
  if (!ended_) ::waitpid(pid_, nullptr, 0);
  // What remains of the session becomes our child, because main() made us a subreaper.
  until([this] {
    bool empty = true;
    for (const pid_t process : all_processes()) {
      if (::getsid(process) != pid_) continue;
      empty = false;
      ::kill(process, SIGKILL);
      ::waitpid(process, nullptr, WNOHANG);
    }
    return empty;
  });
}

void Terminal::type(const std::string& keys) const { write_all(master_.get(), keys); }

void Terminal::resize(unsigned short rows, unsigned short columns) const {
  const winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
  if (::ioctl(master_.get(), TIOCSWINSZ, &size) != 0) throw std::runtime_error("the terminal can't be resized");
}

std::string Terminal::expect(const std::string& text) {
  for (;;) {
    const auto at = unread_.find(text);
    if (at != std::string::npos) {
      std::string before = unread_.substr(0, at);
      unread_.erase(0, at + text.size());
      return before;
    }
    if (!read_more(master_.get(), unread_, text))
      throw std::runtime_error("the terminal closed before '" + text + "': " + unread_);
  }
}

std::string Terminal::rest() {
  while (read_more(master_.get(), unread_)) {
  }
  return std::exchange(unread_, {});
}

bool Terminal::all_but_leader_stopped() const {
  const std::vector<pid_t> processes = all_processes();
  return std::all_of(processes.begin(), processes.end(), [this](pid_t process) {
    return process == pid_ || ::getsid(process) != pid_ || state_of(process) == 'T';
  });
}

Ended Terminal::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ended_ = true;
  return WIFSIGNALED(status) ? killed_by(WTERMSIG(status)) : exited(WEXITSTATUS(status));
}

}  // namespace grex::test
