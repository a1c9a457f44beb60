#include "cli/args/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/nearest_word.hpp"
#include "base/text.hpp"
#include "cli/args/unknown_word.hpp"
#include "cli/report/json.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {
namespace {

bool has_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// Whether it is a flag that may have a value, in the same word.
bool has_optional_value(const CLI::Option& option) { return !has_value(option) && !option.get_fnames().empty(); }

// CLI11 generates a usage line; ours is written by hand.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) {
    constexpr std::size_t description_column = 30;
    column_width(description_column);
  }
  // Without flock(1)'s other spellings.
  std::string make_option_name(const CLI::Option* option, bool) const override {
    std::string names = option->get_snames().empty() ? "" : "-" + option->get_snames().front() + ", ";
    names += "--" + option->get_lnames().front();
    return has_optional_value(*option) ? names + "[=" + option->get_type_name() + "]" : names;
  }
  std::string make_usage(const CLI::App*, std::string) const override { return usage_ + "\n\n"; }
  // Omits exclusions: the error message names them.
  std::string make_option_opts(const CLI::Option* option) const override {
    return has_value(*option) ? " " + option->get_type_name() : std::string();
  }
  // CLI11 puts two blank lines between groups; with one, the help fits a screen.
  [[nodiscard]] std::string make_group(std::string group, bool is_positional,
                                       std::vector<const CLI::Option*> options) const override {
    return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options)).substr(1);
  }
  // The usage line shows the positionals.
  std::string make_positionals(const CLI::App*) const override { return {}; }

 private:
  std::string usage_;
};

// The short options of a word such as -nw5, and where they end. If the last one has a
// value, it is the rest of the word, or else the next word.
struct ShortOptions {
  std::size_t end = 1;
  const CLI::Option* with_value = nullptr;
};

ShortOptions short_options_of(const CLI::App& app, const std::string& word) {
  ShortOptions options;
  if (!word.starts_with('-') || word.starts_with("--")) return options;
  while (options.end < word.size() && options.with_value == nullptr) {
    const CLI::Option* const option = app.get_option_no_throw(std::string("-") + word[options.end]);
    if (option == nullptr) break;
    if (has_value(*option)) options.with_value = option;
    ++options.end;
  }
  return options;
}

// The option whose value is the word after this one; null if there is none.
const CLI::Option* option_before_value(const CLI::App& app, const std::string& word) {
  if (word.starts_with("--")) {
    const CLI::Option* const option = app.get_option_no_throw(word);
    return option != nullptr && has_value(*option) ? option : nullptr;
  }
  const ShortOptions options = short_options_of(app, word);
  return options.end == word.size() ? options.with_value : nullptr;
}

// The long option of a word such as --timeout=5; null if there is none.
const CLI::Option* option_with_value(const CLI::App& app, const std::string& word) {
  const auto equals = word.find('=');
  if (!word.starts_with("--") || equals == std::string::npos) return nullptr;
  return app.get_option_no_throw(word.substr(0, equals));
}

// Whether CLI11 would take the rest of a word, after short options, for a PATH, because
// no option begins like that.
bool ends_like_path(const CLI::App& app, const std::string& word) {
  constexpr std::string_view never_first = "-! \n0123456789";
  const ShortOptions options = short_options_of(app, word);
  const bool follows_flags = options.end > 1 && options.end < word.size() && options.with_value == nullptr;
  return follows_flags && never_first.find(word[options.end]) != std::string_view::npos;
}

// Refuses a value that a flag can't have. CLI11 would take the default for an empty one,
// and any text for that of a flag without values.
void check_flag_value(const CLI::Option& flag, const std::string& word) {
  if (!has_optional_value(flag)) throw UsageError(flag.get_name() + " takes no value");
  if (!word.ends_with('=')) return;
  throw UsageError(fmt::format("{}: {} is empty", flag.get_name(), flag.get_type_name()), unset_hint);
}

// Keeps CLI11 from splitting a word in brackets, if put before it. No word contains it.
constexpr char bracket_mark = '\0';

std::string without_mark(std::string word) {
  if (word.starts_with(bracket_mark)) word.erase(0, 1);
  return word;
}

// What a short option in capitals may be meant to be. -C is that of make and git.
std::string in_lower_case(std::string option) {
  const char letter = option.back();
  const bool is_capital = letter >= 'A' && letter <= 'Z' && letter != 'C';
  if (is_capital) option.back() = static_cast<char>(letter - 'A' + 'a');
  return option;
}

// Whether a word may name this option. Short options may share a word.
bool may_name(std::string_view word, std::string_view name) {
  if (name.starts_with("--")) return take_until(word, '=') == name;
  return word.starts_with('-') && !word.starts_with("--") && word.find(name.back()) != std::string_view::npos;
}

}  // namespace

Parser::Parser(const CommandLine& line, OptionSet option_set)
    : option_set_(option_set), verb_(line.verb), words_(line.arguments) {}

void Parser::set_help(const std::string& summary, const std::string& usage, const std::string& footer_text) {
  if (option_set_ != OptionSet::all_options) return;
  description(summary);
  formatter(std::make_shared<HelpFormatter>("Usage: " + usage));
  footer(footer_text);
}

void Parser::begin_group(const char* title) {
  if (option_set_ == OptionSet::all_options) option_defaults()->group(title);
}

void Parser::explain_value(const CLI::Option* option, const SyntaxText& syntax) {
  if (option_set_ == OptionSet::all_options) value_syntax_[option] = syntax;
}

void Parser::read() {
  std::vector<std::string> words = words_for_cli11();
  std::reverse(words.begin(), words.end());  // CLI11 reads them from the back
  try {
    App::parse(std::move(words));
  } catch (const CLI::ExtrasError&) {
    throw unexpected_word();
  } catch (const CLI::ExcludesError&) {
    throw conflict();
  } catch (const CLI::ArgumentMismatch&) {
    throw repetition();
  }
}

std::vector<std::string> Parser::words_for_cli11() const {
  std::vector<std::string> words;
  const CLI::Option* before_value = nullptr;
  bool may_be_option = true;
  for (const std::string& word : words_) {
    words.push_back(word);
    if (std::exchange(before_value, nullptr) != nullptr) continue;
    if (word == "--") may_be_option = false;
    if (may_be_option) {
      if (ends_like_path(*this, word)) throw UsageError("unknown option " + word, see_help());
      const CLI::Option* const with_value = option_with_value(*this, word);
      if (with_value != nullptr && !has_value(*with_value)) {
        check_flag_value(*with_value, word);
      } else if (with_value != nullptr && word.ends_with('=')) {
        words.back().pop_back();  // or CLI11 would take the next word for the value
        words.emplace_back();
      }
      before_value = option_before_value(*this, word);
    }
    if (takes_words_ && word.starts_with('[')) words.back().insert(0, 1, bracket_mark);
  }
  if (before_value != nullptr) throw missing_value(*before_value);
  return words;
}

UsageError Parser::missing_value(const CLI::Option& option) const {
  const std::string type = option.get_type_name();
  const bool has_vowel = type.starts_with('A') || type == "FD" || type == "N";  // as it is read aloud
  const auto syntax = value_syntax_.find(&option);
  const std::string hint = syntax != value_syntax_.end() ? valid_values(syntax->second) : "";
  return UsageError(fmt::format("{} needs {} {}", option.get_name(), has_vowel ? "an" : "a", type),
                    hint.empty() ? see_help() : hint);
}

UsageError Parser::unexpected_word() const {
  std::vector<std::string> words = remaining();
  std::erase(words, "--");
  const auto is_option = [](const std::string& word) { return word.starts_with('-'); };
  const auto option = std::find_if(words.begin(), words.end(), is_option);
  if (option != words.end()) return unknown_option(*option);
  const auto all = get_options();
  const bool has_path = std::any_of(all.begin(), all.end(), [](const auto* each) { return each->get_positional(); });
  std::string hint(typographic_hint(words.front()));
  if (hint.empty() && verb_.empty()) hint = see_help();
  if (hint.empty()) hint = fmt::format("{} takes {}", verb_, has_path ? "one PATH" : "no PATH");
  return UsageError(fmt::format("unexpected argument '{}'", words.front()), std::move(hint));
}

UsageError Parser::unknown_option(const std::string& word) const {
  const bool is_long = word.starts_with("--");
  const std::string name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
  const std::string why = "unknown option " + (is_long ? name : word);
  if (const auto hint = missing_option_hint(verb_, name); !hint.empty()) return UsageError(why, std::string(hint));
  const std::string similar = similar_option(name);
  return UsageError(why, similar.empty() ? see_help() : fmt::format("did you mean {}?", similar));
}

// Empty if there is none.
std::string Parser::similar_option(const std::string& name) const {
  if (!name.starts_with("--")) {
    const std::string other = in_lower_case(name);
    return get_option_no_throw(other) != nullptr ? other : "";
  }
  std::vector<std::string_view> names;
  for (const CLI::Option* const option : get_options()) {
    if (!option->get_lnames().empty()) names.emplace_back(option->get_lnames().front());
  }
  const auto nearest = nearest_word(std::string_view(name).substr(2), names);
  return nearest ? "--" + std::string(*nearest) : "";
}

std::vector<Parser::TypedOption> Parser::typed_options() const {
  std::vector<TypedOption> typed;
  bool is_value = false;
  for (const std::string& word : words_) {
    if (std::exchange(is_value, false)) continue;
    if (word == "--") break;
    const std::size_t end = word.starts_with("--") ? 1 : short_options_of(*this, word).end;
    for (std::size_t i = 1; i < end; ++i) {
      const std::string name = {'-', word[i]};
      typed.push_back({get_option_no_throw(name), name});
    }
    const std::string name = word.substr(0, word.find('='));
    const CLI::Option* const option = word.starts_with("--") ? get_option_no_throw(name) : nullptr;
    if (option != nullptr) typed.push_back({option, name});
    is_value = option_before_value(*this, word) != nullptr;
  }
  return typed;
}

UsageError Parser::conflict() const {
  const std::vector<TypedOption> typed = typed_options();
  for (const TypedOption& second : typed) {
    const std::set<CLI::Option*> excluded = second.option->get_excludes();
    for (const TypedOption& first : typed) {
      if (&first == &second) break;
      const auto is_first = [&first](const CLI::Option* option) { return option == first.option; };
      if (std::none_of(excluded.begin(), excluded.end(), is_first)) continue;
      return UsageError(fmt::format("{} and {} cannot be used together", first.name, second.name));
    }
  }
  return UsageError("options that cannot be used together");
}

// Only options that must not be repeated refuse that.
UsageError Parser::repetition() const {
  const auto options = get_options([](const CLI::Option* option) {
    return option->count() > 1 && option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw;
  });
  return UsageError((options.empty() ? "an option" : options.front()->get_name()) + " can be given only once");
}

std::string Parser::see_help() const {
  return fmt::format("see 'grex-lock {}{}--help'", verb_, verb_.empty() ? "" : " ");
}

CLI::Option* Parser::add_words(const std::string& name, std::vector<std::string>& words) {
  takes_words_ = true;
  return App::add_option(name, words)->transform(without_mark);
}

void Parser::exclude(CLI::Option* option, const std::string& other) {
  CLI::Option* const excluded = get_option_no_throw(other);
  if (excluded != nullptr) option->excludes(excluded);
}

CLI::Option* Parser::set_help_flag(const std::string& names, const std::string& description) {
  return is_defined(names) ? App::set_help_flag(names, description) : unused_option_;
}

CLI::Option* Parser::set_version_flag(const std::string& names, const std::string& version,
                                      const std::string& description) {
  return is_defined(names) ? App::set_version_flag(names, version, description) : unused_option_;
}

bool Parser::is_defined(std::string_view names) const {
  if (option_set_ == OptionSet::all_options || !names.starts_with('-')) return true;  // no word names a positional
  while (!names.empty()) {
    std::string_view name = take_until(names, ',');
    name = take_until(name, '{');
    const auto names_it = [name](const std::string& word) { return may_name(word, name); };
    if (std::any_of(words_.begin(), words_.end(), names_it)) return true;
  }
  return false;
}

Result<Parsed, Failure> parse(const CommandLine& line, const std::function<void(Parser&)>& define) {
  try {
    Parser parser(line, Parser::OptionSet::named_options);
    define(parser);
    parser.read();
    return Parsed::options;
  } catch (const CLI::ParseError&) {  // reported below, by a parser with all options
  }
  const auto print_answer = [](const std::string& text) -> Result<Parsed, Failure> {
    const Outcome printed = print(text);
    if (!printed) return printed.error();
    return Parsed::answer;
  };
  Parser parser(line, Parser::OptionSet::all_options);
  define(parser);
  try {
    parser.read();
  } catch (const CLI::CallForHelp&) {
    return print_answer(parser.help());
  } catch (const CLI::CallForVersion& version) {
    return print_answer(line.json ? version_document(line.verb) : std::string(version.what()) + "\n");
  } catch (const UsageError& error) {
    return usage_failure(error.what(), error.hint());
  } catch (const CLI::ParseError& error) {
    return usage_failure(error.what(), parser.see_help());
  }
  return Parsed::options;
}

}  // namespace grex::cli
