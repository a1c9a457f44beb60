#define DOCTEST_CONFIG_IMPLEMENT
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <cstdio>

#include "support/process.hpp"

int main(int argc, char** argv) {
  // In a session that others share, such as that of a CI runner, a process that can't be
  // inspected may have a command's lock. As the leader of a shell's job, this stays there.
  if (::setsid() >= 0) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // Orphans become our children, so that the check below finds them.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGPIPE, SIG_IGN);
  for (const char* const name : {"GREX_LOCK_STACK", "GREX_LOCK_TIMEOUT", "GREX_LOCK_TIER_CHECK", "GREX_LOCK_LAYOUT",
                                 "GREX_LOCK_GUARD", "GREX_LOCK_LOG", "GREX_LOCK_CLUSTER", "GREX_LOCK_CLUSTER_ROOT",
                                 "GREX_LOCK_LEASE", "GREX_LOCK_LIBEXEC", "GREX_PARALLEL", "NO_COLOR"}) {
    ::unsetenv(name);
  }
  doctest::Context context(argc, argv);
  const int result = context.run();
  if (context.shouldExit()) return result;
  if (grex::test::left_children()) {
    std::fputs("a test has left a process behind\n", stderr);
    return 1;
  }
  return result == 0 && grex::test::is_skipped() ? grex::test::skipped_status : result;
}
