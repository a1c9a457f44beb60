#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/args/command_line.hpp"
#include "cli/report/failure.hpp"

namespace grex::cli {

/// CLI11's parser for the words of one command line. It can leave out the options that
/// no word may name: making the two dozen of a command takes many times as long as
/// parsing with them. One option that is never given stands in for all of these.
class Parser : private CLI::App {
 public:
  using App::allow_extras;
  using App::callback;
  using App::get_option_no_throw;
  using App::get_options;
  using App::help;
  using App::remaining;

  enum class Makes { named_options, all_options };
  Parser(const CommandLine& line, Makes makes);

  /// For --help, which only a parser with all options prints. The texts do not end
  /// with a newline.
  void set_help(const std::string& summary, const std::string& usage, const std::string& examples);

  /// Parses the words into what the options were defined to set. Throws
  /// CLI::ParseError: for a mistake, and if --help or --version is given.
  void read();

  /// The two can't be given together; either may have been left out. (Two that were
  /// are one and the same option, which CLI::Option::excludes would refuse.)
  static void exclude(CLI::Option* option, CLI::Option* other);

  /// Any number of words, whatever they are.
  CLI::Option* add_words(const std::string& name, std::vector<std::string>& words);

  // As those of CLI::App.
  template <class... Rest>
  CLI::Option* add_option(const std::string& names, Rest&&... rest) {
    return is_made(names) ? App::add_option(names, std::forward<Rest>(rest)...) : never_given_;
  }
  template <class T, class... Rest>
  CLI::Option* add_option_function(const std::string& names, Rest&&... rest) {
    return is_made(names) ? App::add_option_function<T>(names, std::forward<Rest>(rest)...) : never_given_;
  }
  template <class... Rest>
  CLI::Option* add_flag(const std::string& names, Rest&&... rest) {
    return is_made(names) ? App::add_flag(names, std::forward<Rest>(rest)...) : never_given_;
  }
  template <class... Rest>
  CLI::Option* add_flag_callback(const std::string& names, Rest&&... rest) {
    return is_made(names) ? App::add_flag_callback(names, std::forward<Rest>(rest)...) : never_given_;
  }
  CLI::Option* set_help_flag(const std::string& names, const std::string& description);
  CLI::Option* set_version_flag(const std::string& names, const std::string& version, const std::string& description);

 private:
  [[nodiscard]] bool is_made(std::string_view names) const;
  [[nodiscard]] std::vector<std::string> as_meant() const;

  Makes makes_;
  std::vector<std::string> words_;
  bool takes_words_ = false;
  CLI::App nowhere_;
  CLI::Option* never_given_ = nowhere_.get_help_ptr();
};

/// What a command line came to: options to go on with, or an answer that has been
/// printed (--help, --version).
enum class Parsed { options, answer };

/// Parses the command line with the options that `define` adds, which may be called
/// twice, so what the options set must begin afresh in it. A Failure is a usage error,
/// or an answer that could not be printed.
Result<Parsed, Failure> parse(const CommandLine& line, const std::function<void(Parser&)>& define);

/// The same, if `define` does nothing but add options.
template <class Options>
Result<Parsed, Failure> parse(const CommandLine& line, Options& options, void (*define)(Parser&, Options&)) {
  return parse(line, [&options, define](Parser& parser) {
    options = Options{};
    define(parser, options);
  });
}

/// Whether the command goes on with its options; otherwise it ends with outcome_of().
inline bool has_options(const Result<Parsed, Failure>& parsed) { return parsed && *parsed == Parsed::options; }
inline Outcome outcome_of(const Result<Parsed, Failure>& parsed) {
  return parsed ? Outcome(ExitStatus{}) : Outcome(parsed.error());
}

}  // namespace grex::cli
