#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace grex::cli {

/// Text from outside made safe for a terminal and for one line: control
/// characters, and bytes that are not UTF-8, become escapes such as \n and \x1b.
std::string printable(std::string_view text);

/// A word as a shell takes it literally, whatever is in it.
std::string in_quotes(std::string_view word);

/// A command as a shell would take it, printable.
std::string shell_line(const std::vector<std::string>& command);

}  // namespace grex::cli
