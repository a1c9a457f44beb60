#pragma once

#include <optional>
#include <string_view>

#include "base/deadline.hpp"
#include "cli/report/failure.hpp"
#include "sys/file/io.hpp"
#include "sys/process/background_writer.hpp"

namespace grex::cli {

enum class Color { when_terminal, always, never };

/// How much a command reports besides its result.
enum class Verbosity { quiet, normal, verbose };

/// Writes a result to standard output. If that fails, the command fails (74): a reader
/// must not mistake a part for the whole. Waits for the reader, but no longer than until
/// the deadline, until `stop` is readable (borrowed; -1: none), or until a blocked
/// termination signal arrives; then errno is ECANCELED.
Outcome print(std::string_view text, std::optional<Deadline> deadline = {}, int stop = -1);

/// Standard error, whose reader is never waited for; see finish_output.
sys::BackgroundWriter& standard_error();

/// Prints one line on standard error, `grex-lock: TEXT`, made printable. Write errors
/// are ignored.
void note(std::string_view text);

enum class Stream { out, err };

/// Prints a failure as text on standard error, unless -q leaves only the exit status.
/// Returns that status.
int report(const Failure& failure);

/// Prints it as a JSON document, on this stream. Returns the exit status: the
/// failure's, but 74 if standard output could not be written.
int report_json(const Failure& failure, std::string_view verb, Stream stream);

/// Whether one line on standard error can be redrawn in place: it is a terminal that
/// supports ANSI escapes, and we are in its foreground, so that no other process
/// writes there.
bool can_redraw_on_stderr();

/// Returns to the start of such a line, and clears it.
inline constexpr std::string_view erase_line = "\r\x1b[K";

/// Whether standard output is a terminal that supports ANSI escapes.
bool stdout_supports_ansi();

/// Whether to use colour on standard output. NO_COLOR and TERM=dumb matter only for
/// when_terminal.
bool use_color(Color wanted);

}  // namespace grex::cli
