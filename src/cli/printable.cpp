#include "cli/printable.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace grex::cli {
namespace {

// The length of the UTF-8 character at the start of the text; 0 if there is
// none that may be shown. C1 controls (U+0080 to U+009F) may not: some
// terminals obey them.
std::size_t shown_character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  std::uint32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = code << 6U | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  // Direction marks could make a line read other than it is.
  const bool direction = (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return overlong || surrogate || direction || code < 0xa0 || code > 0x10ffff ? 0 : length;
}

bool needs_quotes(std::string_view word) {
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  return word.empty() || word.find_first_not_of(plain) != std::string_view::npos;
}

}  // namespace

std::string in_quotes(std::string_view word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    if (const std::size_t length = shown_character(text)) {
      shown += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
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
        shown += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text.front()));
    }
    text.remove_prefix(1);
  }
  return shown;
}

std::string shell_line(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) {
    if (!line.empty()) line += ' ';
    line += needs_quotes(word) ? in_quotes(word) : word;
  }
  return printable(line);
}

}  // namespace grex::cli
