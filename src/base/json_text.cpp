#include "base/json_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace grex {

std::string quoted_json(std::string_view text, Charset charset) {
  // Most texts have nothing to escape, and the library executes ten times as many instructions to find that out.
  const auto is_plain = [](char c) { return is_printable_ascii(c) && c != '"' && c != '\\'; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return '"' + std::string(text) + '"';
  const nlohmann::json value = text;
  return value.dump(-1, ' ', charset == Charset::ascii, nlohmann::json::error_handler_t::replace);
}

}  // namespace grex
