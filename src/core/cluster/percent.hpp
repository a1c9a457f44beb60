#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace grex::core {

/// Any bytes as a text of `A-Z a-z 0-9 . _ ~ -` and %XX (RFC 3986, with capital hex digits).
std::string percent_encoded(std::string_view bytes);

/// Accepts only what percent_encoded writes.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace grex::core
