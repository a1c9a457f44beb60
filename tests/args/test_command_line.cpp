#include "cli/args/command_line.hpp"

#include <doctest/doctest.h>

#include <chrono>

#include "cli/args/options.hpp"
#include "cli/args/parser.hpp"

using namespace grex;

namespace {

using Places = std::vector<std::size_t>;

Places positionals_in(const std::vector<std::string>& words) { return cli::CommandLine{"hold", words}.positionals(); }

}  // namespace

TEST_CASE("words that are neither options nor their values are found") {
  CHECK(positionals_in({"/ws", "-n", "app"}) == Places{0, 2});
  CHECK(positionals_in({"-nw", "5", "app"}) == Places{2});
  CHECK(positionals_in({"-nw5", "app", "-"}) == Places{1});
  CHECK(positionals_in({"--note", "--", "app"}) == Places{2});
  CHECK(positionals_in({"--note=text", "app"}) == Places{1});
  CHECK(positionals_in({"app", "--", "--note", "--", "lib"}) == Places{0, 2, 3, 4});
}

TEST_CASE("it is known which options have a value in the next word") {
  cli::GlobalOptions global;
  cli::LockOptions lock;
  std::optional<cli::IfLost> if_lost;
  std::optional<int> pid;
  std::string exports;
  std::optional<std::chrono::nanoseconds> duration;
  cli::Parser parser({"hold", {}}, cli::Parser::OptionSet::all_options);
  cli::add_lock_options(parser, lock, global);
  cli::add_cluster_options(parser, lock.cluster, cli::WithLease::yes);
  cli::add_if_lost_option(parser, if_lost);
  cli::add_pid(parser, "--while-pid,--pid", pid, "");
  cli::add_duration(parser, "--for", duration, "");
  parser.add_option("-c,--command", exports);
  cli::add_export_option(parser, exports);
  cli::add_report_options(parser, lock, global);
  for (const CLI::Option* const option : parser.get_options()) {
    const bool has_value = option->get_items_expected_max() > 0;
    for (const std::string& name : option->get_lnames()) {
      CHECK_MESSAGE(positionals_in({"--" + name, "word"}).empty() == has_value, name);
    }
    for (const std::string& name : option->get_snames()) {
      CHECK_MESSAGE(positionals_in({"-" + name, "word"}).empty() == has_value, name);
    }
  }
}
