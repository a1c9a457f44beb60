// The values of options, on the command line and in the environment.

#include "cli/args/option_values.hpp"

#include <algorithm>

#include "fuzz.hpp"

using namespace grex;
using fuzz::require;

namespace {

// A number is read as it is written, apart from leading zeros.
template <class Number>
void check_number(std::string_view text, std::optional<Number> value, Number most) {
  if (!value) return;
  require(*value >= 0 && *value <= most);
  const bool is_minus_zero = text.starts_with('-') && *value == 0;
  text.remove_prefix(is_minus_zero ? 1 : 0);
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size() - 1));
  require(std::to_string(*value) == text);
}

void check_names(std::string_view text) {
  const auto tier = cli::tier_syntax.parse(text);
  require(!tier || core::name_of(*tier) == text);
  const auto layouts = cli::layout_syntax.parse(text);
  require(!layouts || layouts->size() == (text == "both" ? 2U : 1U));
  // The names in messages are those that are accepted.
  const auto is_named = [text](const cli::SyntaxText& syntax) {
    return syntax.names.find(text) != std::string_view::npos;
  };
  require(!tier || is_named(cli::tier_syntax.text));
  require(!layouts || is_named(cli::layout_syntax.text));
  require(!cli::tier_check_syntax.parse(text) || is_named(cli::tier_check_syntax.text));
  require(!cli::color_syntax.parse(text) || is_named(cli::color_syntax.text));
}

void check_lock(std::string_view text) {
  const auto lock = cli::parse_named_lock(text);
  if (lock) {
    require(!lock->path.empty());
    require(std::string(core::name_of(lock->tier)) + ":" + lock->path == text);
  }
  require(lock || !cli::named_lock_error(text).why.empty());
  if (text.empty()) return;
  // Any PATH is accepted.
  const auto backend = cli::parse_named_lock("backend:" + std::string(text));
  require(backend && backend->tier == core::Tier::backend && backend->path == text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  check_number(text, cli::exit_code_syntax.parse(text), 255);
  check_number(text, cli::descriptor_syntax.parse(text), std::numeric_limits<int>::max());
  check_number(text, cli::slots_syntax.parse(text), 4096U);
  const auto interval = cli::interval_syntax.parse(text);
  require(!interval || (*interval >= std::chrono::milliseconds(100) && interval == cli::duration_syntax.parse(text)));
  check_names(text);
  check_lock(text);
  return 0;
}
