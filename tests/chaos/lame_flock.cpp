// If preloaded (LD_PRELOAD), it makes one flock(2) in fifty return success without
// locking. The chaos test must notice.

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

extern "C" int flock(int fd, int operation) {
  static unsigned seed = 0;
  if (seed == 0) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    seed = static_cast<unsigned>(now.tv_nsec) ^ static_cast<unsigned>(::getpid());
  }
  if (::rand_r(&seed) % 50 == 0) return 0;
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}
