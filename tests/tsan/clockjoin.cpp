// ThreadSanitizer intercepts pthread_timedjoin_np(3), but not
// pthread_clockjoin_np(3): it reports a race between the thread and whatever
// follows the join. This implements the latter with the former.

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
