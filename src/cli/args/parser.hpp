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

/// CLI11's parser for the words of one command line. It can leave out the options
/// that no word may name: to make the two dozen of a command takes many times as long
/// as to parse with them. Their part is played by one that is never given.
class Parser : private CLI::App {
 public:
  using App::allow_extras;
  using App::callback;
  using App::get_option_no_throw;
  using App::get_options;
  using App::help;
  using App::remaining;

  enum class Makes { named_options, all_options };
  Parser(const Invocation& invocation, Makes makes);

  /// For --help, which only a parser with all options is asked for. The texts do
  /// not end with a newline.
  void set_help(const std::string& summary, const std::string& usage, const std::string& examples);

  /// Into what the options were defined to set. Throws CLI::ParseError: for a
  /// mistake, and where --help or --version is given.
  void read();

  /// The two may not be given together; either may have been left out. CLI::Option::excludes
  /// would refuse two that were.
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

/// Parses the command line with the options that `define` adds. It may be called
/// twice, so what the options set begins anew in it. An Outcome means that the
/// command ends here: --help, --version (both have been printed then), or a usage error.
std::optional<Outcome> parse(const Invocation& invocation, const std::function<void(Parser&)>& define);

/// The same, where `define` does nothing but add.
template <class Options>
std::optional<Outcome> parse(const Invocation& invocation, Options& options, void (*define)(Parser&, Options&)) {
  return parse(invocation, [&options, define](Parser& parser) {
    options = Options{};
    define(parser, options);
  });
}

}  // namespace grex::cli
