#pragma once

#include <string_view>

#include "cli/args/command_line.hpp"
#include "cli/args/option_values.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// Writes an answer to standard output. One that can't be written is a failed
/// command (74): whoever reads it must not take half for the whole.
Outcome print(std::string_view text);

/// For a process that holds signals back: once this descriptor is readable, a
/// reader of what it prints, notes or reports who does not read is not waited
/// for. Borrowed for the rest of the process's life.
void give_up_writing_at(int fd);
int gives_up_writing_at();

/// One line on standard error, `grex-lock: TEXT`, made printable. What stderr
/// does not take is lost.
void note(std::string_view text);

/// Tells a failure: as prose on stderr; or, with --json, as a document, on
/// stdout where the verb answers there and on stderr where stdout belongs to
/// the command that was to run. Returns the exit status: the failure's, but 74
/// where the document could not be written.
int report(const Failure& failure, const Invocation& invocation);

/// Whether a line on standard error can be drawn in one place again and again: on
/// a terminal that obeys escapes, in its foreground; elsewhere others write too.
bool can_redraw_on_stderr();

/// Goes back to the start of such a line, and clears it.
inline constexpr std::string_view erase_line = "\r\x1b[K";

/// Whether standard output is a terminal that obeys escapes.
bool is_screen();

/// Whether to use colour on standard output: NO_COLOR and TERM=dumb count where
/// the user left it open.
bool use_color(Color wanted);

}  // namespace grex::cli
