// The floor: the least that a program must do to run a command under a lock.
// usage: floor FILE CMD [ARG...], or floor -F FILE CMD [ARG...] to exec CMD

#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static int lock(const char* file, int flags) {
  const int fd = open(file, O_RDWR | O_CREAT | flags, 0666);
  return fd >= 0 && flock(fd, LOCK_EX) == 0;
}

static int run(char** words) {
  if (!lock(words[0], O_CLOEXEC)) return 74;
  const pid_t pid = vfork();
  if (pid == 0) {
    execvp(words[1], words + 1);
    _exit(127);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return 71;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int become(char** words) {
  if (!lock(words[0], 0)) return 74;
  execvp(words[1], words + 1);
  return 127;
}

int main(int argc, char** argv) {
  const int in_place = argc > 1 && strcmp(argv[1], "-F") == 0;
  if (argc < 3 + in_place) return 64;
  return in_place ? become(argv + 2) : run(argv + 1);
}
