#include "cli/report/output.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "cli/report/json.hpp"
#include "cli/report/printable.hpp"
#include "sys/file/io.hpp"
#include "sys/signal/blocked_signals.hpp"
#include "sys/terminal/terminal.hpp"

namespace grex::cli {
namespace {

bool supports_ansi(int terminal) {
  const char* const term = ::getenv("TERM");
  const bool has_escapes = term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
  return has_escapes && sys::is_terminal(terminal);
}

}  // namespace

Outcome print(std::string_view text, std::optional<Deadline> deadline, int stop) {
  // As head(1) does, a reader may have read enough.
  const auto failed = [](const Error& error) {
    Failure failure = failure_from(at_path(error, "standard output"));
    failure.is_printed = error.err != EPIPE;
    return failure;
  };
  const auto written = sys::write_available(STDOUT_FILENO, text);
  if (!written) return failed(written.error());
  text.remove_prefix(*written);
  if (text.empty()) return ExitStatus{};
  const auto signals = sys::SignalReader::open(sys::unignored_signals());
  const auto rest = sys::write_all(STDOUT_FILENO, text, {deadline, {stop, signals ? signals->fd() : -1}});
  if (!rest) return failed(rest.error());
  return ExitStatus{};
}

sys::BackgroundWriter& standard_error() {
  static sys::BackgroundWriter writer(STDERR_FILENO);
  return writer;
}

void note(std::string_view text) { standard_error().write("grex-lock: " + printable(text) + "\n"); }

int report(const Failure& failure) {
  if (failure.is_printed) standard_error().write(to_text(failure));
  return failure.exit_code;
}

int report_json(const Failure& failure, std::string_view verb, Stream stream) {
  const std::string document = error_document(verb, failure);
  if (stream == Stream::err) {
    standard_error().write(document);
    return failure.exit_code;
  }
  // The signal that cancelled the command has been received: it can't end this, too.
  std::optional<Deadline> deadline;
  if (failure.kind == ErrorKind::cancelled) deadline = Deadline::clock::now() + std::chrono::seconds(1);
  const Outcome printed = print(document, deadline);
  const bool is_told = printed || printed.error().err == ECANCELED;
  return is_told ? failure.exit_code : report(printed.error());
}

bool can_redraw_on_stderr() { return supports_ansi(STDERR_FILENO) && sys::is_in_foreground_of(STDERR_FILENO); }

bool stdout_supports_ansi() { return supports_ansi(STDOUT_FILENO); }

bool use_color(Color wanted) {
  if (wanted != Color::when_terminal) return wanted == Color::always;
  const char* const no_color = ::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && stdout_supports_ansi();
}

}  // namespace grex::cli
