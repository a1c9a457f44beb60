// External text that is shown on a terminal, or pasted into a shell.

#include "cli/report/printable.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "fuzz.hpp"
#include "shown_text.hpp"

using namespace grex;
using cli::printable;
using fuzz::is_one_harmless_line;
using fuzz::require;

namespace {

constexpr std::string_view mark = "…";

void check_cuts(const std::string& shown) {
  const std::size_t width = cli::width_of(shown);
  require(width <= shown.size());
  for (const std::size_t columns : std::initializer_list<std::size_t>{0, 1, 2, 7, 80}) {
    const std::string front = cli::cut_to(shown, columns);
    const std::string back = cli::cut_front_to(shown, columns);
    for (const std::string& cut : {front, back}) {
      require(cli::width_of(cut) <= columns && is_one_harmless_line(cut));
      require((cut == shown) == (width <= columns));
    }
    if (width <= columns || columns == 0) continue;
    require(front.ends_with(mark) && shown.starts_with(front.substr(0, front.size() - mark.size())));
    require(back.starts_with(mark) && shown.ends_with(back.substr(mark.size())));
  }
}

// What the escape at `i`, within $'…', stands for; moves `i` to its last character.
char unescaped(std::string_view line, std::size_t& i) {
  constexpr std::size_t octal_digits = 3;
  switch (const char c = line[++i]) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case '\'':
    case '\\':
      return c;
    default:
      break;
  }
  const auto byte = parse_number<std::uint8_t>(line.substr(i, octal_digits), 8);
  require(byte.has_value());
  i += octal_digits - 1;
  return static_cast<char>(*byte);
}

// The words of a line as a shell splits it. Knows only blanks, single quotes, a backslash before
// one of these, and words in $'…'.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  bool is_in_word = false;
  bool is_quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (!is_in_word && line.substr(i).starts_with("$'")) {
      words.emplace_back();
      for (i += 2; line.at(i) != '\''; ++i) words.back() += line[i] == '\\' ? unescaped(line, i) : line[i];
      is_in_word = true;
      continue;
    }
    if (line[i] == ' ' && !is_quoted) {
      is_in_word = false;
      continue;
    }
    if (!is_in_word) words.emplace_back();
    is_in_word = true;
    if (line[i] == '\'') {
      is_quoted = !is_quoted;
    } else if (line[i] == '\\' && !is_quoted) {
      words.back() += line[++i];
    } else {
      words.back() += line[i];
    }
  }
  require(!is_quoted);
  return words;
}

void check_command(const std::vector<std::string>& command) {
  const std::string line = cli::shell_line(command);
  require(is_one_harmless_line(line));
  require(words_of(line) == command);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  const std::string shown = printable(text);
  require(is_one_harmless_line(shown));
  require(printable(shown) == shown);
  if (std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; })) require(shown == text);
  check_cuts(shown);
  require(words_of(cli::in_quotes(text)) == std::vector<std::string>{std::string(text)});
  check_command(fuzz::split(text, '\0'));
  return 0;
}
