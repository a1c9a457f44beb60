#include "cli/args/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {
namespace {

// CLI11 generates a usage line; ours is written by hand.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) {
    constexpr std::size_t description_column = 30;
    column_width(description_column);
  }
  std::string make_option_name(const CLI::Option* option, bool) const override {
    std::string names = option->get_name(false, true);
    // If a flag may have a value, its name has the default in braces.
    if (const auto brace = names.find('{'); brace != std::string::npos) {
      names.resize(brace);
      names += "[=" + option->get_type_name() + "]";
    }
    const auto comma = names.find(',');
    return comma == std::string::npos ? names : names.replace(comma, 1, ", ");
  }
  std::string make_usage(const CLI::App*, std::string) const override { return usage_ + "\n\n"; }
  // Omits exclusions: the error message names them.
  std::string make_option_opts(const CLI::Option* option) const override {
    const bool is_in_name = option->get_name(false, true).find('{') != std::string::npos;
    return option->get_type_size() == 0 || is_in_name ? std::string() : " " + option->get_type_name();
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

// Describes the words that CLI11 did not expect: an unknown option, with its value, or
// a superfluous word.
std::string unexpected_words(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.starts_with('-')) return "unknown option " + word;
  }
  return fmt::format("'{}' is one word too many", words.front());
}

bool has_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// The short options of a word such as -nw5, and where they end. If the last one has a
// value, it is the rest of the word, or else the next word.
struct ShortOptions {
  std::size_t end = 1;
  bool have_value = false;
};

ShortOptions short_options_of(const CLI::App& app, const std::string& word) {
  ShortOptions options;
  if (!word.starts_with('-') || word.starts_with("--")) return options;
  while (options.end < word.size() && !options.have_value) {
    const CLI::Option* const option = app.get_option_no_throw(std::string("-") + word[options.end]);
    if (option == nullptr) break;
    options.have_value = has_value(*option);
    ++options.end;
  }
  return options;
}

bool takes_next_word(const CLI::App& app, const std::string& word) {
  if (word.starts_with("--")) {
    const CLI::Option* const option = app.get_option_no_throw(word);
    return option != nullptr && has_value(*option);
  }
  const ShortOptions options = short_options_of(app, word);
  return options.have_value && options.end == word.size();
}

// Whether CLI11 would take the rest of a word, after short options, for a PATH, because
// no option begins like that.
bool ends_like_path(const CLI::App& app, const std::string& word) {
  constexpr std::string_view never_first = "-! \n0123456789";
  const ShortOptions options = short_options_of(app, word);
  const bool follows_flags = options.end > 1 && options.end < word.size() && !options.have_value;
  return follows_flags && never_first.find(word[options.end]) != std::string_view::npos;
}

// Whether a word is a flag with an empty value, for which CLI11 would take the flag's
// default: most often, a variable is unset.
bool has_empty_value(const CLI::App& app, const std::string& word) {
  if (!word.starts_with("--") || !word.ends_with('=')) return false;
  const CLI::Option* const option = app.get_option_no_throw(word.substr(0, word.size() - 1));
  return option != nullptr && !has_value(*option) && !option->get_type_name().empty();
}

// Keeps CLI11 from splitting a word in brackets, if put before it. No word contains it.
constexpr char bracket_mark = '\0';

std::string without_mark(std::string word) {
  if (word.starts_with(bracket_mark)) word.erase(0, 1);
  return word;
}

// Whether a word may name this option. Short options may share a word.
bool may_name(std::string_view word, std::string_view name) {
  if (name.starts_with("--")) return take_until(word, '=') == name;
  return word.starts_with('-') && !word.starts_with("--") && word.find(name.back()) != std::string_view::npos;
}

}  // namespace

Parser::Parser(const CommandLine& line, OptionSet option_set) : option_set_(option_set), words_(line.arguments) {}

void Parser::set_help(const std::string& summary, const std::string& usage, const std::string& examples) {
  if (option_set_ != OptionSet::all_options) return;
  description(summary);
  formatter(std::make_shared<HelpFormatter>("Usage: " + usage));
  footer(examples);
}

void Parser::read() {
  std::vector<std::string> words = words_for_cli11();
  std::reverse(words.begin(), words.end());  // CLI11 reads them from the back
  App::parse(std::move(words));
}

std::vector<std::string> Parser::words_for_cli11() const {
  std::vector<std::string> words = words_;
  bool is_value = false;
  bool may_be_option = true;
  for (std::string& word : words) {
    if (std::exchange(is_value, false)) continue;
    if (word == "--") may_be_option = false;
    if (may_be_option && ends_like_path(*this, word)) throw CLI::ValidationError("unknown option " + word);
    if (may_be_option && has_empty_value(*this, word)) throw CLI::ValidationError(word + " has no value");
    is_value = may_be_option && takes_next_word(*this, word);
    if (takes_words_ && word.starts_with('[')) word.insert(word.begin(), bracket_mark);
  }
  return words;
}

CLI::Option* Parser::add_words(const std::string& name, std::vector<std::string>& words) {
  takes_words_ = true;
  return App::add_option(name, words)->transform(without_mark);
}

void Parser::exclude(CLI::Option* option, CLI::Option* other) {
  if (option != other) option->excludes(other);
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
  const std::string help_command = "grex-lock " + (line.verb.empty() ? "" : line.verb + " ") + "--help";
  try {
    parser.read();
  } catch (const CLI::CallForHelp&) {
    return print_answer(parser.help());
  } catch (const CLI::CallForVersion& version) {
    return print_answer(std::string(version.what()) + "\n");
  } catch (const CLI::ExtrasError&) {
    return usage_failure(unexpected_words(parser.remaining()), "see '" + help_command + "'");
  } catch (const CLI::ParseError& error) {
    return usage_failure(error.what(), "see '" + help_command + "'");
  }
  return Parsed::options;
}

}  // namespace grex::cli
