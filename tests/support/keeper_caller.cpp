// Stands for grex-lock beside a keeper: starts the program that the arguments name with its own
// descriptors 3, 4 and 5, prints its PID, and then runs what each line of its input says under
// sh, prints the PID of that, and reaps it. These commands have the write end of the liveness
// pipe, 6, and die with this process.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

namespace {

constexpr int liveness = 6;

}  // namespace

int main(int, char** argv) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGCHLD, SIG_IGN);  // reaps
  const pid_t keeper = ::fork();
  if (keeper == 0) {
    ::signal(SIGCHLD, SIG_DFL);
    ::close(liveness);
    ::execv(argv[1], argv + 1);
    ::_exit(127);
  }
  std::cout << keeper << std::endl;
  for (std::string script; std::getline(std::cin, script);) {
    const pid_t command = ::fork();
    if (command == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::signal(SIGCHLD, SIG_DFL);
      for (int fd = 3; fd < liveness; ++fd) ::close(fd);
      ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
      ::_exit(127);
    }
    std::cout << command << std::endl;
  }
  return 0;
}
