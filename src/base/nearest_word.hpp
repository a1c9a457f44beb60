#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace grex {

/// The word that was probably meant by a mistyped one, and nullopt if none is near: it
/// differs in at most a third of its characters, or contains what was typed.
std::optional<std::string_view> nearest_word(std::string_view typed, const std::vector<std::string_view>& words);

}  // namespace grex
