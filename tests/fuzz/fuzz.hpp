#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"

/// Called by libFuzzer with each input; each target has one.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace grex::fuzz {

/// Ends the program where a promise is not kept, which libFuzzer reports with
/// the input. In builds of every kind, unlike assert.
inline void require(bool holds, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  (void)std::fprintf(stderr, "%s:%d: a promise is not kept\n", file, line);
  std::abort();
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// The pieces of a text that a character ends; behind the last it may be missing.
inline std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  while (!text.empty()) pieces.emplace_back(take_until(text, separator));
  return pieces;
}

/// Whether one text lies within another, as a view of it does.
inline bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace grex::fuzz
