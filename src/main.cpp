#include <signal.h>
#include <unistd.h>

#include <exception>
#include <new>

#include "base/exit_code.hpp"
#include "cli/args/command_line.hpp"
#include "cli/commands/dispatch.hpp"
#include "cli/report/events.hpp"
#include "cli/report/output.hpp"
#include "sys/file/file.hpp"
#include "sys/file/io.hpp"
#include "sys/process/proc.hpp"
#include "sys/signal/signals.hpp"

namespace {

int run(int argc, char** argv) {
  if (const auto reserved = grex::sys::reserve_standard_streams(); !reserved) {
    return grex::cli::report(grex::cli::failure_from(reserved.error()));
  }
  const auto line = grex::cli::split_command_line(argc, argv);
  grex::cli::Events events;
  const auto outcome = grex::sys::is_privileged_program() ? grex::cli::Outcome(grex::cli::privileged_failure())
                                                          : grex::cli::dispatch(line, events);
  grex::cli::ExitStatus status;
  if (outcome) {
    status = *outcome;
  } else {
    const grex::cli::Failure& failure = outcome.error();
    status.code = line.json ? grex::cli::report_json(failure, line.verb, grex::cli::json_errors_of(line.verb))
                            : grex::cli::report(failure);
    status.interrupted_by_user = failure.interrupted_by_user;
  }
  grex::cli::finish_output(events);
  if (status.interrupted_by_user) grex::sys::kill_self(SIGINT);
  return status.code;
}

}  // namespace

int main(int argc, char** argv) {
  // No JSON here: memory has run out, or the state is unknown.
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    (void)grex::sys::write_available(STDERR_FILENO, "grex-lock: the system refused: out of memory\n");
    return grex::exit_code::system;
  } catch (const std::exception& error) {
    (void)grex::sys::write_available(STDERR_FILENO, "grex-lock: internal error: ");
    (void)grex::sys::write_available(STDERR_FILENO, error.what());
    (void)grex::sys::write_available(STDERR_FILENO, "\n");
    return grex::exit_code::internal;
  }
}
