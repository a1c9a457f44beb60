#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace grex {

/// Whether a byte is a printable character of ASCII.
constexpr bool is_printable_ascii(char c) { return c >= ' ' && c <= '~'; }

/// The whole text as a number: no spaces, no sign except '-', nothing left over.
template <class Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

inline bool has_part(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

/// Returns the text up to the separator, or all of it, and removes it and the
/// separator from `rest`.
inline std::string_view take_until(std::string_view& rest, char separator) {
  const auto end = static_cast<std::size_t>(std::find(rest.begin(), rest.end(), separator) - rest.begin());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

/// Returns the next word, and removes it from `rest`. Words are separated by spaces
/// and tabs. Empty at the end.
inline std::string_view take_word(std::string_view& rest) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const auto begin = std::find_if_not(rest.begin(), rest.end(), is_blank);
  const auto end = std::find_if(begin, rest.end(), is_blank);
  rest = {end, rest.end()};
  return {begin, end};
}

/// The name of a program, of the first word of its command line, without what follows a space:
/// some programs put all their arguments there, and so does a user who quotes too much.
inline std::string program_name(std::string_view word) {
  const std::string_view path = take_until(word, ' ');
  return std::string(path.substr(path.rfind('/') + 1));
}

/// A path without slashes at its end; that of the root directory stays.
inline std::string_view without_trailing_slashes(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path;
}

/// The path of a name in a directory.
inline std::string path_in(std::string_view directory, std::string_view name) {
  std::string path;
  path.reserve(directory.size() + 1 + name.size());
  path += directory;
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

}  // namespace grex
