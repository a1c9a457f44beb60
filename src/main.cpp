#include <signal.h>

#include <exception>
#include <new>

#include "base/exit_code.hpp"
#include "cli/commands.hpp"
#include "cli/invocation.hpp"
#include "cli/output.hpp"
#include "sys/terminal.hpp"

namespace {

grex::cli::Outcome dispatch_safely(const grex::cli::Invocation& invocation) {
  grex::cli::Failure failure;
  try {
    return grex::cli::dispatch(invocation);
  } catch (const std::bad_alloc&) {
    failure.kind = grex::ErrorKind::system;
    failure.what = "out of memory";
  } catch (const std::exception& error) {
    failure.what = "internal error";
    failure.why = error.what();
  }
  failure.exit_code = grex::exit_code_of(failure.kind, 0);
  return grex::cli::failed(failure);
}

}  // namespace

int main(int argc, char** argv) {
  const auto invocation = grex::cli::parse_invocation(argc, argv);
  const auto outcome = dispatch_safely(invocation);
  if (outcome.failure) grex::cli::report(*outcome.failure, invocation);
  if (outcome.interrupted_by_user) grex::sys::die_of(SIGINT);
  return outcome.exit_code;
}
