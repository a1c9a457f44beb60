#include <signal.h>

#include <cstdio>
#include <exception>
#include <new>

#include "base/exit_code.hpp"
#include "cli/args/command_line.hpp"
#include "cli/commands/commands.hpp"
#include "cli/report/output.hpp"
#include "sys/file/file.hpp"
#include "sys/terminal/terminal.hpp"

namespace {

int run(int argc, char** argv) {
  const auto invocation = grex::cli::parse_invocation(argc, argv);
  const auto outcome = grex::cli::dispatch(invocation);
  const int exit_code = outcome.failure ? grex::cli::report(*outcome.failure, invocation) : outcome.exit_code;
  if (outcome.interrupted_by_user) grex::sys::die_of(SIGINT);
  return exit_code;
}

}  // namespace

int main(int argc, char** argv) {
  grex::sys::reserve_standard_streams();
  // What is caught here left no memory, or no sense, to make a document of.
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    (void)std::fputs("grex-lock: the system refused: out of memory\n", stderr);
    return grex::exit_code::system;
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "grex-lock: internal error: %s\n", error.what());
    return grex::exit_code::internal;
  }
}
