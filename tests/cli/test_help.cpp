#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>

#include "support/process.hpp"

using namespace grex::test;

TEST_CASE("--help of every command is on stdout, fits 80 columns, and ends with examples") {
  for (const char* const command : {"", "run", "probe", "status", "hold", "release", "wait", "fd", "stack", "tiers"}) {
    CAPTURE(command);
    Words words = {grex_lock()};
    if (*command != '\0') words.emplace_back(command);
    words.emplace_back("--help");
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(0));
    CHECK(finished.err.empty());
    CHECK(finished.out.find("Usage: grex-lock") != std::string::npos);
    CHECK(finished.out.find("\nExamples:\n") != std::string::npos);
    CHECK(finished.out.back() == '\n');
    std::istringstream lines(finished.out);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(line.size() <= 80);
    }
  }
  CHECK(run_tool({"run", "-h"}).out == run_tool({"run", "--help"}).out);
}

TEST_CASE("--version is a line, before and after a command") {
  CHECK(run_tool({"--version"}).out == "grex-lock 0.1.0\n");
  CHECK(run_tool({"status", "--version"}).out == "grex-lock 0.1.0\n");
}
