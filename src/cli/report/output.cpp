#include "cli/report/output.hpp"

#include <stdlib.h>
#include <unistd.h>

#include "cli/report/json.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/io.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

int stop_fd = -1;  // see set_write_stop

bool supports_ansi(int terminal) {
  const char* const term = ::getenv("TERM");
  const bool has_escapes = term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  return has_escapes && sys::is_terminal(terminal);
}

}  // namespace

void set_write_stop(int fd) { stop_fd = fd; }

int write_stop() { return stop_fd; }

Outcome print(std::string_view text) {
  const auto written = sys::write_all(STDOUT_FILENO, text, stop_fd);
  if (!written) return failure_from(at_path(written.error(), "standard output"));
  return ExitStatus{};
}

void note(std::string_view text) {
  (void)sys::write_all(STDERR_FILENO, "grex-lock: " + printable(text) + "\n", stop_fd);
}

int report(const Failure& failure) {
  if (failure.is_printed) (void)sys::write_all(STDERR_FILENO, to_text(failure), stop_fd);
  return failure.exit_code;
}

int report_json(const Failure& failure, std::string_view verb, Stream stream) {
  const std::string document = error_document(verb, failure);
  if (stream == Stream::err) {
    (void)sys::write_all(STDERR_FILENO, document, stop_fd);
    return failure.exit_code;
  }
  const Outcome printed = print(document);
  return printed ? failure.exit_code : report(printed.error());
}

bool can_redraw_on_stderr() { return supports_ansi(STDERR_FILENO) && sys::is_in_foreground_of(STDERR_FILENO); }

bool stdout_supports_ansi() { return supports_ansi(STDOUT_FILENO); }

bool use_color(Color wanted) {
  if (wanted != Color::when_terminal) return wanted == Color::always;
  const char* const no_color = ::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && stdout_supports_ansi();
}

}  // namespace grex::cli
