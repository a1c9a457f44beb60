#include "cli/report/output.hpp"

#include <stdlib.h>
#include <unistd.h>

#include "cli/report/json.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/io.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

int unless = -1;  // see give_up_writing_at

bool is_obedient(int terminal) {
  const char* const term = ::getenv("TERM");
  const bool obeys = term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  return obeys && sys::is_terminal(terminal);
}

}  // namespace

void give_up_writing_at(int fd) { unless = fd; }

int gives_up_writing_at() { return unless; }

Outcome print(std::string_view text) {
  const auto written = sys::write_all(STDOUT_FILENO, text, unless);
  return written ? Outcome{} : failed(failure_from(at_path(written.error(), "standard output")));
}

void note(std::string_view text) {
  (void)sys::write_all(STDERR_FILENO, "grex-lock: " + printable(text) + "\n", unless);
}

int report(const Failure& failure, const Invocation& invocation) {
  if (!invocation.json) {
    if (failure.told) (void)sys::write_all(STDERR_FILENO, to_text(failure), unless);
    return failure.exit_code;
  }
  const std::string document = error_document(invocation.verb, failure);
  if (invocation.verb == "run" || invocation.verb == "hold") {
    (void)sys::write_all(STDERR_FILENO, document, unless);
    return failure.exit_code;
  }
  const Outcome printed = print(document);
  if (!printed.failure) return failure.exit_code;
  (void)sys::write_all(STDERR_FILENO, to_text(*printed.failure), unless);
  return printed.exit_code;
}

bool can_redraw_on_stderr() { return is_obedient(STDERR_FILENO) && sys::is_in_foreground_of(STDERR_FILENO); }

bool is_screen() { return is_obedient(STDOUT_FILENO); }

bool use_color(Color wanted) {
  if (wanted != Color::when_terminal) return wanted == Color::always;
  const char* const no_color = ::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && is_screen();
}

}  // namespace grex::cli
