#pragma once

#include <string_view>

namespace grex::fuzz {

/// Whether the text is one line of UTF-8 without control characters or misleading ones.
bool is_one_harmless_line(std::string_view text);

/// Whether the text is a JSON document in one line.
bool is_json_line(std::string_view text);

}  // namespace grex::fuzz
