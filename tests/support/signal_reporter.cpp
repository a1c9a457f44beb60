// A command for tests: says "ready", then a line for every signal that arrives
// and for every line of its input, in order and without losing any between two
// steps, as a shell's trap may. Ends at the end of its input with the status
// that is its argument.

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

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t told;
  sigemptyset(&told);
  for (const int signal : {SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGUSR1, SIGUSR2}) sigaddset(&told, signal);
  ::sigprocmask(SIG_BLOCK, &told, nullptr);
  const int signals = ::signalfd(-1, &told, SFD_CLOEXEC);
  say("ready");
  std::array<pollfd, 2> ready = {{{signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
  for (;;) {
    ::poll(ready.data(), ready.size(), -1);
    if (ready[0].revents != 0) {
      signalfd_siginfo info{};
      if (::read(signals, &info, sizeof info) == sizeof info) say(::sigabbrev_np(static_cast<int>(info.ssi_signo)));
      continue;
    }
    std::array<char, 256> line{};
    const ssize_t size = ::read(STDIN_FILENO, line.data(), line.size());
    if (size <= 0) return argc > 1 ? ::atoi(argv[1]) : 0;
    say(std::string(line.data(), static_cast<std::size_t>(size) - 1));
  }
}
