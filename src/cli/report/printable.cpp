#include "cli/report/printable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.hpp"

namespace grex::cli {
namespace {

// Invisible characters, direction marks and line separators could make a line look different
// from what it is. These are all of Default_Ignorable_Code_Point (Unicode 14.0,
// DerivedCoreProperties.txt), the marks and separators that are not in it, and the braille
// pattern without dots.
bool is_misleading(std::uint32_t code) {
  struct Range {
    std::uint32_t first;
    std::uint32_t last;
  };
  constexpr std::array<Range, 18> ranges = {{{0xad, 0xad},
                                             {0x34f, 0x34f},
                                             {0x61c, 0x61c},
                                             {0x115f, 0x1160},
                                             {0x17b4, 0x17b5},
                                             {0x180b, 0x180f},
                                             {0x200b, 0x200f},
                                             {0x2028, 0x202e},  // 2028 and 2029: separators
                                             {0x2060, 0x206f},
                                             {0x2800, 0x2800},  // braille
                                             {0x3164, 0x3164},
                                             {0xfe00, 0xfe0f},
                                             {0xfeff, 0xfeff},
                                             {0xffa0, 0xffa0},
                                             {0xfff0, 0xfffb},  // fff9 to fffb: marks of annotations
                                             {0x1bca0, 0x1bca3},
                                             {0x1d173, 0x1d17a},
                                             {0xe0000, 0xe0fff}}};
  return std::any_of(ranges.begin(), ranges.end(),
                     [code](const Range& range) { return code >= range.first && code <= range.last; });
}

// The length of the UTF-8 character at the start of the text; 0 if it must be escaped.
// C1 controls (U+0080 to U+009F) must: some terminals obey them.
std::size_t printable_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return is_printable_ascii(text.front()) ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return overlong || surrogate || is_misleading(code) || code < 0xa0 || code > 0x10ffff ? 0 : length;
}

// How much of the text is printable ASCII, up to the first other byte: mostly, all of it.
std::size_t plain_length(std::string_view text) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_printable_ascii) - text.begin());
}

// Whether a byte of UTF-8 continues a character.
bool continues_character(char byte) { return (static_cast<std::uint8_t>(byte) & 0xc0U) == 0x80; }

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    std::size_t length = 1;
    while (length < text.size() && continues_character(text[length])) ++length;
    characters.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return characters;
}

bool needs_quotes(std::string_view word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  return word.empty() || word.starts_with('=') || word.find_first_not_of(plain) != std::string_view::npos;
}

enum class Escape { hexadecimal, octal };

std::string with_escapes(std::string_view text, Escape escape) {
  std::string shown;
  while (!text.empty()) {
    if (const std::size_t length = std::max(plain_length(text), printable_length(text))) {
      shown += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(text.front());
    switch (text.front()) {
      case '\n':
        shown += "\\n";
        break;
      case '\t':
        shown += "\\t";
        break;
      case '\r':
        shown += "\\r";
        break;
      default:
        shown += escape == Escape::octal ? fmt::format("\\{:03o}", byte) : fmt::format("\\x{:02x}", byte);
    }
    text.remove_prefix(1);
  }
  return shown;
}

// Quotes a word that has to be escaped: bash, zsh and ksh know $'…', which POSIX.1-2024 has, too.
// Octal, because ksh and mksh read more than two digits after \x.
std::string in_dollar_quotes(std::string_view word) {
  std::string text;
  for (const char c : word) {
    text += c == '\'' ? "\\047" : c == '\\' ? "\\134" : std::string(1, c);
  }
  return "$'" + with_escapes(text, Escape::octal) + "'";
}

std::string quoted_if_needed(std::string_view word) {
  if (printable(word) != word) return in_dollar_quotes(word);
  return needs_quotes(word) ? in_quotes(word) : std::string(word);
}

}  // namespace

std::string in_quotes(std::string_view word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string printable(std::string_view text) { return with_escapes(text, Escape::hexadecimal); }

// Computed from the padding that fmt adds; no text has more columns than bytes.
std::size_t width_of(std::string_view text) {
  const std::size_t wide = text.size();
  if (plain_length(text) == wide) return wide;
  return wide - (fmt::formatted_size("{:<{}}", text, wide) - text.size());
}

std::string cut_to(std::string text, std::size_t columns) {
  if (columns == 0) return {};
  const auto characters = characters_of(text);
  std::size_t width = 0;
  std::size_t fits = 0;  // bytes that leave room for the ellipsis
  for (const std::string_view character : characters) {
    width += width_of(character);
    if (width > columns) return text.substr(0, fits) + "…";
    if (width < columns) fits += character.size();
  }
  return text;
}

std::string cut_front_to(std::string_view text, std::size_t columns) {
  if (columns == 0) return {};
  auto characters = characters_of(text);
  std::reverse(characters.begin(), characters.end());
  std::size_t width = 0;
  std::size_t fits = 0;
  for (const std::string_view character : characters) {
    width += width_of(character);
    if (width > columns) return "…" + std::string(text.substr(text.size() - fits));
    if (width < columns) fits += character.size();
  }
  return std::string(text);
}

std::string shell_line(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) {
    if (!line.empty()) line += ' ';
    line += quoted_if_needed(word);
  }
  return line;
}

std::string word_in_home(std::string_view path) {
  const std::string rest(path.substr(std::min<std::size_t>(path.size(), 1)));
  return path.starts_with("~/") && quoted_if_needed(rest) == rest ? fmt::format("\"$HOME{}\"", rest) : std::string();
}

std::string own_line(std::string_view verb, std::vector<std::string> words) {
  words.insert(words.begin(), {"grex-lock", std::string(verb)});
  return shell_line(words);
}

}  // namespace grex::cli
