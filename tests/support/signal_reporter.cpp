// A command for tests: prints "ready", then a line for every signal and for every line
// of its input, in order. Unlike a shell's trap, it loses none between two steps. At the
// end of its input, it exits with the status given as its argument.

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace {

void print_line(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t reported;
  sigemptyset(&reported);
  for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&reported, signal);
  ::sigprocmask(SIG_BLOCK, &reported, nullptr);
  const int signals = ::signalfd(-1, &reported, SFD_CLOEXEC);
  print_line("ready");
  std::array<pollfd, 2> ready = {{{signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
  for (;;) {
    ::poll(ready.data(), ready.size(), -1);
    if (ready[0].revents != 0) {
      signalfd_siginfo info{};
      if (::read(signals, &info, sizeof info) == sizeof info)
        print_line(::sigabbrev_np(static_cast<int>(info.ssi_signo)));
      continue;
    }
    std::array<char, 256> line{};
    const ssize_t size = ::read(STDIN_FILENO, line.data(), line.size());
    if (size <= 0) return argc > 1 ? ::atoi(argv[1]) : 0;
    print_line(std::string(line.data(), static_cast<std::size_t>(size) - 1));
  }
}
