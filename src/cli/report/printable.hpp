#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace grex::cli {

/// Text from outside made safe for a terminal and for one line: control
/// characters, and bytes that are not UTF-8, become escapes such as \n and \x1b.
std::string printable(std::string_view text);

/// How many columns of a terminal a printable text takes.
std::size_t width_of(std::string_view text);

/// Printable text, as much of its start, or of its end, as fits into so many
/// columns of a terminal; a cut is marked.
std::string cut_to(std::string text, std::size_t columns);
std::string cut_front_to(std::string_view text, std::size_t columns);

/// A word as a shell takes it literally, whatever is in it.
std::string in_quotes(std::string_view word);

/// A command as a shell would take it, printable.
std::string shell_line(const std::vector<std::string>& command);

}  // namespace grex::cli
