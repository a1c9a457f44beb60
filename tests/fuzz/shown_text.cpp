#include "shown_text.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace grex::fuzz {
namespace {

// Uses the JSON library, which refuses to write anything else.
bool is_utf8(std::string_view text) {
  try {
    (void)nlohmann::ordered_json(text).dump();
    return true;
  } catch (const nlohmann::ordered_json::type_error&) {
    return false;
  }
}

bool is_control(char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }

// Control characters beyond ASCII, U+0080 to U+009F.
bool has_c1_control(std::string_view text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '\xc2' && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

}  // namespace

bool is_one_harmless_line(std::string_view text) {
  constexpr std::array<std::string_view, 5> misleading = {"\u200b", "\u200f", "\u2028", "\u202e", "\ufeff"};
  const auto is_in_text = [text](std::string_view mark) { return text.find(mark) != std::string_view::npos; };
  return is_utf8(text) && std::none_of(text.begin(), text.end(), is_control) && !has_c1_control(text) &&
         std::none_of(misleading.begin(), misleading.end(), is_in_text);
}

bool is_json_line(std::string_view text) {
  return text.find('\n') == text.size() - 1 && nlohmann::ordered_json::accept(text);
}

}  // namespace grex::fuzz
