#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace grex::cli {

/// Makes external text safe for a terminal and for one line: control characters, and
/// bytes that are not UTF-8, become escapes such as \n and \x1b.
std::string printable(std::string_view text);

/// The terminal columns that a printable text takes.
std::size_t width_of(std::string_view text);

/// The start, or the end, of a printable text, cut to fit into `columns` of a terminal;
/// an ellipsis marks the cut.
std::string cut_to(std::string text, std::size_t columns);
std::string cut_front_to(std::string_view text, std::size_t columns);

/// Quotes a word for a shell, whatever it contains.
std::string in_quotes(std::string_view word);

/// A command as typed in a shell, printable. What has to be escaped is within $'…'.
std::string shell_line(const std::vector<std::string>& command);

/// The same of `grex-lock VERB`, with these words behind it.
std::string own_line(std::string_view verb, std::vector<std::string> words);

/// The word to type for a path that starts with an unexpanded ~/. Empty for another path, and if
/// the rest has to be quoted.
std::string word_in_home(std::string_view path);

}  // namespace grex::cli
