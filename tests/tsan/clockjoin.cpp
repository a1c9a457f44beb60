// ThreadSanitizer sees by pthread_timedjoin_np(3) that a thread has ended, but
// knows nothing of pthread_clockjoin_np(3), and takes what is done after that for
// a race with all that the thread did. This is the one made of the other.

#include <pthread.h>
#include <time.h>

extern "C" int pthread_clockjoin_np(pthread_t thread, void** result, clockid_t clock, const timespec* until) {
  constexpr long second_ns = 1'000'000'000;
  timespec now{};
  timespec real{};
  ::clock_gettime(clock, &now);
  ::clock_gettime(CLOCK_REALTIME, &real);
  const long left = (until->tv_sec - now.tv_sec) * second_ns + until->tv_nsec - now.tv_nsec;
  const long end = real.tv_nsec + (left > 0 ? left : 0);
  real.tv_sec += end / second_ns;
  real.tv_nsec = end % second_ns;
  return ::pthread_timedjoin_np(thread, result, &real);
}
