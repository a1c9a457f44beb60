#include "cli/parser.hpp"

#include <doctest/doctest.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/options.hpp"

using namespace grex;
using cli::Parser;

namespace {

using Words = std::vector<std::string>;

// The options, beside --help, that are made for these words.
Words made_for(const Words& words) {
  cli::LockOptions options;
  Parser parser({"run", words}, Parser::Makes::named_options);
  cli::add_lock_options(parser, options);
  Words names;
  for (const CLI::Option* const option : parser.get_options()) {
    if (option != parser.get_help_ptr()) names.push_back(option->get_name());
  }
  return names;
}

}  // namespace

TEST_CASE("a parser makes the options that a word may name, and no others") {
  CHECK(made_for({"/ws"}) == Words{"PATH"});
  CHECK(made_for({"--timeout", "5", "/ws"}) == Words{"PATH", "--timeout"});
  CHECK(made_for({"--timeout=5", "--times"}) == Words{"PATH", "--timeout"});
  CHECK(made_for({"-nw5"}) == Words{"PATH", "--nonblock", "--timeout"});
  CHECK(made_for({"-w", "-s"}) == Words{"PATH", "--shared", "--timeout"});
}

TEST_CASE("options that exclude each other do so wherever the words name both") {
  cli::LockOptions options;
  const auto define = [&options](Parser& parser) {
    options = {};
    cli::add_lock_options(parser, options);
  };
  CHECK_FALSE(cli::parse({"run", {"-n", "/ws"}}, define));
  CHECK(options.nonblock);
  CHECK_FALSE(cli::parse({"run", {"-w5", "/ws"}}, define));
  CHECK(options.timeout == std::chrono::seconds(5));
  CHECK_FALSE(options.nonblock);
  const auto outcome = cli::parse({"run", {"-n", "-w5", "/ws"}}, define);
  REQUIRE(outcome);
  CHECK(outcome->failure->why == "--nonblock excludes --timeout");
}
