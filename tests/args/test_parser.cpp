#include "cli/args/parser.hpp"

#include <doctest/doctest.h>

#include "cli/args/options.hpp"

using namespace grex;
using cli::Parser;

namespace {

using Words = std::vector<std::string>;

// The options that a parser adds for these words, without the --help that CLI11 always adds.
Words options_for(const Words& words) {
  cli::GlobalOptions global;
  cli::LockOptions options;
  std::string every;
  Parser parser({"run", words}, Parser::OptionSet::named_options);
  cli::add_lock_options(parser, options, global);
  parser.add_flag("--every{2}", every, "");
  cli::add_report_options(parser, options, global);
  Words names;
  for (const CLI::Option* const option : parser.get_options()) {
    if (option->get_description() != "Print this help message and exit") names.push_back(option->get_name());
  }
  return names;
}

}  // namespace

TEST_CASE("a parser adds only the options that the words may name") {
  CHECK(options_for({"/ws"}) == Words{"PATH"});
  CHECK(options_for({"--timeout", "5", "/ws"}) == Words{"PATH", "--timeout"});
  CHECK(options_for({"--timeout=5", "--times"}) == Words{"PATH", "--timeout"});
  CHECK(options_for({"-nw5"}) == Words{"PATH", "--nonblock", "--timeout"});
  CHECK(options_for({"-w", "-s"}) == Words{"PATH", "--shared", "--timeout"});
  CHECK(options_for({"--every=5"}) == Words{"PATH", "--every"});
  CHECK(options_for({"-nh"}) == Words{"PATH", "--nonblock", "--help"});
  CHECK(options_for({"--version", "--json"}) == Words{"PATH", "--json", "--version"});
}

TEST_CASE("options that exclude each other do so if the words name both") {
  cli::GlobalOptions global;
  cli::LockOptions options;
  const auto define = [&](Parser& parser) {
    options = {};
    cli::add_lock_options(parser, options, global);
  };
  CHECK(has_options(cli::parse({"run", {"-n", "/ws"}}, define)));
  CHECK(options.nonblock);
  CHECK(has_options(cli::parse({"run", {"-w5", "/ws"}}, define)));
  CHECK(options.timeout == std::chrono::seconds(5));
  CHECK_FALSE(options.nonblock);
  const auto parsed = cli::parse({"run", {"-n", "-w5", "/ws"}}, define);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().why == "-n and -w cannot be used together");
}
