#include "cli/args/unknown_word.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace grex::cli {
namespace {

using Names = std::initializer_list<std::string_view>;

bool is_one_of(std::string_view word, Names names) {
  return std::find(names.begin(), names.end(), word) != names.end();
}

}  // namespace

std::string_view typographic_hint(std::string_view word) {
  constexpr std::array<std::string_view, 7> dashes = {"‐", "‑", "‒", "–", "—", "―", "−"};
  constexpr std::array<std::string_view, 5> quotes = {"“", "”", "„", "‘", "’"};
  const auto starts = [word](std::string_view mark) { return word.starts_with(mark); };
  const auto starts_or_ends = [word](std::string_view mark) { return word.starts_with(mark) || word.ends_with(mark); };
  const bool has_dash = std::any_of(dashes.begin(), dashes.end(), starts);
  const bool has_quote = std::any_of(quotes.begin(), quotes.end(), starts_or_ends);
  if (has_dash) return "it starts with a typographic dash: type '-' or '--' instead";
  return has_quote ? "it has typographic quotes: type ' or \" instead" : "";
}

std::string_view command_like(std::string_view word) {
  if (is_one_of(word, {"lock", "exec", "flock"})) return "run";
  if (is_one_of(word, {"unlock", "free", "stop", "kill", "end"})) return "release";
  if (is_one_of(word, {"ps", "list", "ls", "show", "who", "info", "holder", "holders", "locks"})) return "status";
  return is_one_of(word, {"check", "test"}) ? "probe" : "";
}

std::string_view missing_option_hint(std::string_view verb, std::string_view option) {
  const bool is_unlock = is_one_of(option, {"-u", "--unlock"});
  const bool is_command = is_one_of(option, {"-c", "--command"});
  const bool is_wait = is_one_of(option, {"-n", "--nonblock", "--nb", "--nonblocking", "-w", "--timeout", "--wait"});
  if (option == "-d" && verb == "hold") return "did you mean --detach?";
  if (is_unlock) return "'grex-lock release' ends a hold; 'grex-lock fd -u' unlocks descriptors";
  if (is_command) return "only 'grex-lock run' runs a command";
  return verb == "probe" && is_wait ? "leave it out: probe never waits, and 'grex-lock wait' does" : "";
}

}  // namespace grex::cli
