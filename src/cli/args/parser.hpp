#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/args/command_line.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

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

  /// Sets the texts of --help, which only a parser with all options prints. They do not
  /// end with a newline.
  void set_help(const std::string& summary, const std::string& usage, const std::string& examples);

  /// Parses the words and sets the options. Throws CLI::ParseError: for a usage error,
  /// and for --help and --version.
  void read();

  /// Makes two options exclude each other; either may have been left out. (If both
  /// were, they are the same option, which CLI::Option::excludes would refuse.)
  static void exclude(CLI::Option* option, CLI::Option* other);

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
  [[nodiscard]] bool is_defined(std::string_view names) const;
  [[nodiscard]] std::vector<std::string> words_for_cli11() const;

  OptionSet option_set_;
  std::vector<std::string> words_;
  bool takes_words_ = false;
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
