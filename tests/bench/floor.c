// The floor: the least that a program can do that runs a command under a lock.
// usage: floor FILE CMD [ARG...], or floor -F FILE CMD [ARG...] to become it

#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const int in_place = argc > 1 && strcmp(argv[1], "-F") == 0;
  if (argc < 3 + in_place) return 64;
  char** const command = argv + 2 + in_place;
  const int fd = open(command[-1], O_RDWR | O_CREAT | (in_place ? 0 : O_CLOEXEC), 0666);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) return 74;
  if (in_place) {
    execvp(command[0], command);
    return 127;
  }
  const pid_t pid = vfork();
  if (pid == 0) {
    execvp(command[0], command);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return 71;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
