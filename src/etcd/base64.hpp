#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace grex::etcd {

/// As etcd's JSON gateway writes bytes (RFC 4648, with padding).
std::string to_base64(std::string_view bytes);

/// Accepts only what to_base64 writes.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace grex::etcd
