#include "cli/output.hpp"

#include <stdlib.h>
#include <unistd.h>

#include "cli/printable.hpp"
#include "cli/report_json.hpp"
#include "sys/file.hpp"
#include "sys/terminal.hpp"

namespace grex::cli {
namespace {

int unless = -1;  // see give_up_writing_at

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

bool use_color(Color wanted) {
  if (wanted != Color::when_terminal) return wanted == Color::always;
  const char* const no_color = ::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* const term = ::getenv("TERM");
  if (term == nullptr || std::string_view(term) == "dumb") return false;
  return sys::is_terminal(STDOUT_FILENO);
}

}  // namespace grex::cli
