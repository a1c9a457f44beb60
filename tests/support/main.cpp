#define DOCTEST_CONFIG_IMPLEMENT
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <doctest/doctest.h>

#include <cstdio>

#include "support/process.hpp"

int main(int argc, char** argv) {
  // Orphans become our children, so that the check below finds them.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::signal(SIGPIPE, SIG_IGN);
  for (const char* const name : {"GREX_LOCK_STACK", "GREX_LOCK_TIMEOUT", "GREX_LOCK_TIER_CHECK", "GREX_LOCK_LAYOUT",
                                 "GREX_LOCK_GUARD", "GREX_PARALLEL", "NO_COLOR"}) {
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
