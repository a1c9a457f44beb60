#include "base/nearest_word.hpp"

#include <algorithm>
#include <cstddef>

namespace grex {
namespace {

// How many characters have to be inserted, removed, replaced or swapped with the next one:
// the distance of Damerau and Levenshtein, with no character changed twice.
std::size_t edit_distance(std::string_view from, std::string_view to) {
  // row[j]: between the first i characters and the first j; before that, for i - 1 and i - 2.
  std::vector<std::size_t> row(to.size() + 1);
  std::vector<std::size_t> last(to.size() + 1);
  std::vector<std::size_t> last_but_one(to.size() + 1);
  for (std::size_t i = 0; i <= from.size(); ++i) {
    for (std::size_t j = 0; j <= to.size(); ++j) {
      if (i == 0 || j == 0) {
        row[j] = i + j;
        continue;
      }
      const std::size_t replaced = last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      const bool is_swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (is_swapped) row[j] = std::min(row[j], last_but_one[j - 2] + 1);
    }
    last_but_one.swap(last);
    last.swap(row);
  }
  return last[to.size()];
}

}  // namespace

std::optional<std::string_view> nearest_word(std::string_view typed, const std::vector<std::string_view>& words) {
  constexpr std::size_t shortest_part = 3;
  std::optional<std::string_view> nearest;
  std::size_t least = 0;
  for (const std::string_view word : words) {
    const std::size_t most = std::max<std::size_t>(word.size() / 3, 1);
    const bool is_part = typed.size() >= shortest_part && word.find(typed) != std::string_view::npos;
    const std::size_t least_possible = std::max(typed.size(), word.size()) - std::min(typed.size(), word.size());
    if (least_possible > most && !is_part) continue;  // one of them may be very long
    const std::size_t distance = edit_distance(typed, word);
    if ((distance > most && !is_part) || (nearest && distance >= least)) continue;
    nearest = word;
    least = distance;
  }
  return nearest;
}

}  // namespace grex
