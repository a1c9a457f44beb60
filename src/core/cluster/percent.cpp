#include "core/cluster/percent.hpp"

#include "base/text.hpp"

namespace grex::core {
namespace {

constexpr std::string_view digits = "0123456789ABCDEF";

// Not isalnum(3), which depends on the locale.
constexpr bool is_plain(char c) {
  const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return is_letter || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '~' || c == '-';
}

}  // namespace

std::string percent_encoded(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (is_plain(c)) {
      text += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    text += {'%', digits[byte >> 4U], digits[byte & 0xfU]};
  }
  return text;
}

std::optional<std::string> percent_decoded(std::string_view text) {
  constexpr std::size_t escape_size = 3;
  std::string bytes;
  for (std::string_view rest = text; !rest.empty();) {
    const bool is_escape = rest.front() == '%';
    if (!is_escape) {
      bytes += rest.front();
      rest.remove_prefix(1);
      continue;
    }
    const auto byte = rest.size() < escape_size ? std::nullopt : parse_number<unsigned char>(rest.substr(1, 2), 16);
    if (!byte) return std::nullopt;
    bytes += static_cast<char>(*byte);
    rest.remove_prefix(escape_size);
  }
  return percent_encoded(bytes) == text ? std::optional(std::move(bytes)) : std::nullopt;
}

}  // namespace grex::core
