#pragma once

#include <string>
#include <string_view>

namespace grex {

enum class Charset { utf8, ascii };

/// The text as a JSON string, in quotes. What is not UTF-8 becomes U+FFFD. With `ascii`, other
/// characters are escaped.
std::string quoted_json(std::string_view text, Charset charset = Charset::utf8);

}  // namespace grex
