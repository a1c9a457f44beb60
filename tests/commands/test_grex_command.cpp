#include <doctest/doctest.h>

#include <cstdlib>

#include "cli/commands/grex_command.hpp"

using grex::cli::find_grex_command;
using Words = std::vector<std::string>;

TEST_CASE("a command of grex that takes locks is recognised with its workspace and operands") {
  const auto sync = find_grex_command({"/opt/bin/grex", "--json", "sync", "ws", "--workspace", "other"});
  REQUIRE(sync);
  CHECK(sync->verb == "sync");
  CHECK(sync->workspace == "other");
  CHECK(sync->operands == Words{"ws"});
  CHECK(find_grex_command({"grex", "update", "--workspace=w"})->workspace == "w");
  CHECK(find_grex_command({"grex", "rm", "a", "b"})->operands == Words{"a", "b"});
  CHECK(find_grex_command({"/bin/sh", "-c", " grex  teardown ws "})->verb == "teardown");
}

TEST_CASE("a command of grex is found in a list of commands for a shell") {
  for (const char* const list :
       {"grex sync ws && make CFLAGS=\"-O2\"", "make -C ws; grex sync ws; true", "\n  make\n  grex sync ws\n",
        "grex status; grex sync ws", "true && grex sync ws || exit", "grex sync ws & wait"}) {
    CAPTURE(list);
    const auto sync = find_grex_command({"sh", "-c", list});
    REQUIRE(sync);
    CHECK(sync->operands == Words{"ws"});
    CHECK(sync->line == "grex sync ws");
  }
  const auto in_home = find_grex_command({"sh", "-c", "grex sync ~/ws"});
  REQUIRE(in_home);
  CHECK(in_home->operands == Words{std::string(::getenv("HOME")) + "/ws"});
  CHECK(in_home->line == "grex sync ~/ws");
}

TEST_CASE("what is no command of grex, takes no lock, or is not simple is not recognised") {
  for (const Words& words :
       {Words{}, Words{"grex"}, Words{"grex", "import", "ws"}, Words{"grex", "sync", "--dry-run"},
        Words{"grex", "rm", "--force", "app"}, Words{"grex", "--help", "sync"}, Words{"grexx", "sync"},
        Words{"sudo", "grex", "sync"}, Words{"sh", "-c", "cd ws; grex sync ."}, Words{"sh", "-c", "grex sync \"$ws\""},
        Words{"sh", "-c", "echo '; grex sync ws'"}, Words{"sh", "-c", "make # now; grex sync ws"},
        Words{"sh", "-c", ";"}, Words{"sh", "-c", " && "}, Words{"sh", "-c", ""}, Words{"grep", "sync"}}) {
    CHECK_FALSE(find_grex_command(words));
  }
}
