#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/args/command_line.hpp"
#include "cli/args/option_values.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// A usage error with its own hint, which may be empty.
class UsageError : public CLI::ParseError {
 public:
  explicit UsageError(const std::string& why, std::string hint = {})
      : ParseError("UsageError", why, CLI::ExitCodes::ValidationError), hint_(std::move(hint)) {}
  [[nodiscard]] const std::string& hint() const { return hint_; }

 private:
  std::string hint_;
};

/// CLI11's parser for the words of one command line. It can leave out the options that
/// no word may name: defining the two dozen of a command takes many times as long as
/// parsing. One unused option stands in for all that are left out.
class Parser : private CLI::App {
 public:
  using App::allow_extras;
  using App::callback;
  using App::get_option_no_throw;
  using App::get_options;
  using App::help;
  using App::remaining;

  enum class OptionSet { named_options, all_options };
  Parser(const CommandLine& line, OptionSet option_set);

  /// Sets the texts of --help, which only a parser with all options prints: what the
  /// command does, the lines before the options, and those behind them. They do not end
  /// with a newline.
  void set_help(const std::string& summary, const std::string& usage, const std::string& footer);

  /// The options that are added from now on are in this group of --help.
  void begin_group(const char* title);

  /// Parses the words and sets the options. Throws CLI::ParseError: for a usage error,
  /// and for --help and --version.
  void read();

  /// The hint to see --help.
  [[nodiscard]] std::string see_help() const;

  /// Makes two options exclude each other. Either may have been left out; the other one
  /// must have been added before.
  void exclude(CLI::Option* option, const std::string& other);

  /// Sets the syntax to name in the hint for an option without its value.
  void explain_value(const CLI::Option* option, const SyntaxText& syntax);

  /// A positional for any number of words, whatever they contain.
  CLI::Option* add_words(const std::string& name, std::vector<std::string>& words);

  // As in CLI::App.
  template <class... Rest>
  CLI::Option* add_option(const std::string& names, Rest&&... rest) {
    return is_defined(names) ? App::add_option(names, std::forward<Rest>(rest)...) : unused_option_;
  }
  template <class T, class... Rest>
  CLI::Option* add_option_function(const std::string& names, Rest&&... rest) {
    return is_defined(names) ? App::add_option_function<T>(names, std::forward<Rest>(rest)...) : unused_option_;
  }
  template <class... Rest>
  CLI::Option* add_flag(const std::string& names, Rest&&... rest) {
    return is_defined(names) ? App::add_flag(names, std::forward<Rest>(rest)...) : unused_option_;
  }
  template <class... Rest>
  CLI::Option* add_flag_callback(const std::string& names, Rest&&... rest) {
    return is_defined(names) ? App::add_flag_callback(names, std::forward<Rest>(rest)...) : unused_option_;
  }
  CLI::Option* set_help_flag(const std::string& names, const std::string& description);
  CLI::Option* set_version_flag(const std::string& names, const std::string& version, const std::string& description);

 private:
  // An option as it was typed: -n, --timeout.
  struct TypedOption {
    const CLI::Option* option;
    std::string name;
  };

  [[nodiscard]] bool is_defined(std::string_view names) const;
  [[nodiscard]] std::vector<std::string> words_for_cli11() const;
  [[nodiscard]] std::vector<TypedOption> typed_options() const;
  [[nodiscard]] UsageError missing_value(const CLI::Option& option) const;
  [[nodiscard]] UsageError unexpected_word() const;
  [[nodiscard]] UsageError unknown_option(const std::string& word) const;
  [[nodiscard]] std::string similar_option(const std::string& name) const;
  [[nodiscard]] UsageError conflict() const;
  [[nodiscard]] UsageError repetition() const;

  OptionSet option_set_;
  std::string verb_;
  std::vector<std::string> words_;
  bool takes_words_ = false;
  std::map<const CLI::Option*, SyntaxText> value_syntax_;
  CLI::App unused_app_;
  CLI::Option* unused_option_ = unused_app_.get_help_ptr();
};

/// The result of parsing: options for the command, or an answer that has been printed
/// (--help, --version).
enum class Parsed { options, answer };

/// Parses the command line with the options that `define` adds. It may be called twice,
/// so it must reset the variables that the options set. A Failure is a usage error, or
/// an answer that could not be printed.
Result<Parsed, Failure> parse(const CommandLine& line, const std::function<void(Parser&)>& define);

/// The same; resets `options` before each call of `define`.
template <class Options>
Result<Parsed, Failure> parse(const CommandLine& line, Options& options, void (*define)(Parser&, Options&)) {
  return parse(line, [&options, define](Parser& parser) {
    options = Options{};
    define(parser, options);
  });
}

/// Whether the command continues with its options; otherwise it returns outcome_of().
inline bool has_options(const Result<Parsed, Failure>& parsed) { return parsed && *parsed == Parsed::options; }
inline Outcome outcome_of(const Result<Parsed, Failure>& parsed) {
  return parsed ? Outcome(ExitStatus{}) : Outcome(parsed.error());
}

}  // namespace grex::cli
