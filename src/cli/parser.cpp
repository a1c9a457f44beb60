#include "cli/parser.hpp"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "cli/output.hpp"

namespace grex::cli {
namespace {

// CLI11 makes up a usage line of its own; ours is written by hand.
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
  // Of what excludes what, the error message tells.
  std::string make_option_opts(const CLI::Option* option) const override {
    const bool is_told_in_name = option->get_name(false, true).find('{') != std::string::npos;
    return option->get_type_size() == 0 || is_told_in_name ? std::string() : " " + option->get_type_name();
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

// What is left over: an option that there is not, whose value would have been
// left over with it, or one word too many.
std::string unexpected_words(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (word.starts_with('-')) return "unknown option " + word;
  }
  return fmt::format("'{}' is one word too many", words.front());
}

// Whether the value of an option that this word names, or ends with, is the next.
bool takes_next_word(const CLI::App& app, const std::string& word) {
  if (word.size() < 2 || word.front() != '-') return false;
  const CLI::Option* const option =
      app.get_option_no_throw(word.starts_with("--") ? word : std::string("-") + word.back());
  return option != nullptr && option->get_items_expected_max() > 0;
}

// CLI11 takes a PATH in brackets for a list of several.
std::vector<std::string> with_plain_brackets(const CLI::App& app, std::vector<std::string> words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool is_value = i > 0 && takes_next_word(app, words[i - 1]);
    if (words[i].starts_with('[') && !is_value) words[i].insert(0, "./");
  }
  return words;
}

}  // namespace

void set_help(CLI::App& app, const std::string& usage, const std::string& examples) {
  app.formatter(std::make_shared<HelpFormatter>("Usage: " + usage));
  app.footer(examples);
}

std::optional<Outcome> parse(CLI::App& app, const Invocation& invocation) {
  const std::string help_command = "grex-lock " + (invocation.verb.empty() ? "" : invocation.verb + " ") + "--help";
  try {
    std::vector<std::string> words = with_plain_brackets(app, invocation.arguments);
    std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
    app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return print(app.help());
  } catch (const CLI::CallForVersion& version) {
    return print(std::string(version.what()) + "\n");
  } catch (const CLI::ExtrasError&) {
    return failed(usage_failure(unexpected_words(app.remaining()), "see '" + help_command + "'"));
  } catch (const CLI::ParseError& error) {
    return failed(usage_failure(error.what(), "see '" + help_command + "'"));
  }
  return std::nullopt;
}

}  // namespace grex::cli
