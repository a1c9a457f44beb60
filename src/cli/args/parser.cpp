#include "cli/args/parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "cli/report/output.hpp"

namespace grex::cli {
namespace {

// CLI11 makes a usage line of its own; ours is written by hand.
class HelpFormatter : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) {
    constexpr std::size_t description_column = 30;
    column_width(description_column);
  }
  std::string make_option_name(const CLI::Option* option, bool) const override {
    std::string names = option->get_name(false, true);
    // Of a flag that may have a value, the one that it has without is in braces.
    if (const auto brace = names.find('{'); brace != std::string::npos) {
      names.resize(brace);
      names += "[=" + option->get_type_name() + "]";
    }
    const auto comma = names.find(',');
    return comma == std::string::npos ? names : names.replace(comma, 1, ", ");
  }
  std::string make_usage(const CLI::App*, std::string) const override { return usage_ + "\n\n"; }
  // Nothing about exclusions: the error message names them.
  std::string make_option_opts(const CLI::Option* option) const override {
    const bool is_in_name = option->get_name(false, true).find('{') != std::string::npos;
    return option->get_type_size() == 0 || is_in_name ? std::string() : " " + option->get_type_name();
  }
  // CLI11 puts two blank lines between groups; one is enough, and makes it fit a screen.
  [[nodiscard]] std::string make_group(std::string group, bool is_positional,
                                       std::vector<const CLI::Option*> options) const override {
    return CLI::Formatter::make_group(std::move(group), is_positional, std::move(options)).substr(1);
  }
  // The usage line has shown the positionals; they need no section.
  std::string make_positionals(const CLI::App*) const override { return {}; }

 private:
  std::string usage_;
};

// What is left over: an unknown option, whose value would be left over with it, or a
// superfluous word.
std::string unexpected_words(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.starts_with('-')) return "unknown option " + word;
  }
  return fmt::format("'{}' is one word too many", words.front());
}

bool has_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// The short options of a word such as -nw5, and where they end. The value of the last
// one, if it has one, is the rest of the word, or else the next word.
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

// Whether CLI11 would take the end of a word for a PATH behind short options, since
// no option begins like that.
bool ends_like_path(const CLI::App& app, const std::string& word) {
  constexpr std::string_view never_first = "-! \n0123456789";
  const ShortOptions options = short_options_of(app, word);
  const bool is_behind_flags = options.end > 1 && options.end < word.size() && !options.have_value;
  return is_behind_flags && never_first.find(word[options.end]) != std::string_view::npos;
}

// Put before a word in brackets, which CLI11 would split. No word contains it.
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

Parser::Parser(const CommandLine& line, Makes makes) : makes_(makes), words_(line.arguments) {}

void Parser::set_help(const std::string& summary, const std::string& usage, const std::string& examples) {
  if (makes_ != Makes::all_options) return;
  description(summary);
  formatter(std::make_shared<HelpFormatter>("Usage: " + usage));
  footer(examples);
}

void Parser::read() {
  std::vector<std::string> words = as_meant();
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  App::parse(std::move(words));
}

std::vector<std::string> Parser::as_meant() const {
  std::vector<std::string> words = words_;
  bool is_value = false;
  bool may_be_option = true;
  for (std::string& word : words) {
    if (std::exchange(is_value, false)) continue;
    if (word == "--") may_be_option = false;
    if (may_be_option && ends_like_path(*this, word)) throw CLI::ValidationError("unknown option " + word);
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
  return is_made(names) ? App::set_help_flag(names, description) : never_given_;
}

CLI::Option* Parser::set_version_flag(const std::string& names, const std::string& version,
                                      const std::string& description) {
  return is_made(names) ? App::set_version_flag(names, version, description) : never_given_;
}

bool Parser::is_made(std::string_view names) const {
  if (makes_ == Makes::all_options || !names.starts_with('-')) return true;  // a positional is always given
  while (!names.empty()) {
    std::string_view name = take_until(names, ',');
    name = take_until(name, '{');
    const auto may_be_it = [name](const std::string& word) { return may_name(word, name); };
    if (std::any_of(words_.begin(), words_.end(), may_be_it)) return true;
  }
  return false;
}

Result<Parsed, Failure> parse(const CommandLine& line, const std::function<void(Parser&)>& define) {
  try {
    Parser parser(line, Parser::Makes::named_options);
    define(parser);
    parser.read();
    return Parsed::options;
  } catch (const CLI::ParseError&) {  // reported by a parser that knows all options
  }
  const auto answer = [](const std::string& text) -> Result<Parsed, Failure> {
    const Outcome printed = print(text);
    if (!printed) return printed.error();
    return Parsed::answer;
  };
  Parser parser(line, Parser::Makes::all_options);
  define(parser);
  const std::string help_command = "grex-lock " + (line.verb.empty() ? "" : line.verb + " ") + "--help";
  try {
    parser.read();
  } catch (const CLI::CallForHelp&) {
    return answer(parser.help());
  } catch (const CLI::CallForVersion& version) {
    return answer(std::string(version.what()) + "\n");
  } catch (const CLI::ExtrasError&) {
    return usage_failure(unexpected_words(parser.remaining()), "see '" + help_command + "'");
  } catch (const CLI::ParseError& error) {
    return usage_failure(error.what(), "see '" + help_command + "'");
  }
  return Parsed::options;
}

}  // namespace grex::cli
