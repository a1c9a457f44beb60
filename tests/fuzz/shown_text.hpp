#pragma once

#include <string_view>

namespace grex::fuzz {

/// Whether a terminal shows the text, UTF-8, in one line and obeys nothing in it.
bool is_one_harmless_line(std::string_view text);

/// Whether it is one line, a document of JSON.
bool is_json_line(std::string_view text);

}  // namespace grex::fuzz
