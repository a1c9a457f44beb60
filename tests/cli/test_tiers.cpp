// What `tiers` shows of each tier.

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// The value of `excludes` of each tier.
json excludes_in(const char* layout) {
  json all = json::array();
  const json document = json::parse(run_tool({"tiers", "--json", "--layout", layout}).out);
  for (const json& tier : document["tiers"]) {
    all.push_back(tier["excludes"]);
  }
  return all;
}

}  // namespace

TEST_CASE("tiers shows for each tier what it excludes, and what not") {
  const std::string out = run_tool({"tiers", "--layout", "flat"}).out;
  for (const char* const lines : {"0  workspace-sync  workspace directory     PATH/.grex.sync.lock\n"
                                  "   excludes        grex sync, update and teardown of PATH, which exit with 3\n"
                                  "   but not         those of PATH/child, and jobs that lock only a pack\n"
                                  "1  semaphore ",
                                  "   excludes        no grex command, only other jobs, if no slot is free\n"
                                  "2  per-pack        pack directory          PATH/.grex-lock\n"
                                  "   excludes        work of grex sync, update and teardown on PATH, which waits\n"
                                  "   but not         sync and update if PATH is a declarative pack\n"
                                  "3  backend ",
                                  "   excludes        grex's clone, fetch and checkout of PATH, which wait\n"
                                  "   but not         other work of grex sync and update\n"
                                  "4  manifest ",
                                  "   excludes        event logging of grex sync, update and teardown, which waits\n"
                                  "   but not         their other work\n"}) {
    CAPTURE(lines);
    CHECK(out.find(lines) != std::string::npos);
  }
}

TEST_CASE("the table of tiers has at most 80 columns and ends with the releases of its layout") {
  const std::pair<const char*, std::string> endings[] = {
      {"flat", "\nlayout flat: the lock files of grex 1.1.0 to 1.3.1\n"},
      {"nested", "\nlayout nested: the lock files of grex 1.3.2 and later\n"},
      {"both", "\nlayout both: the lock files of grex 1.1.0 and later\n"}};
  for (const auto& [layout, ending] : endings) {
    CAPTURE(layout);
    const std::string out = run_tool({"tiers", "--layout", layout}).out;
    CHECK(out.ends_with(ending));
    std::istringstream lines(out);
    for (std::string line; std::getline(lines, line);) {
      CAPTURE(line);
      CHECK(line.size() <= 80);
    }
  }
}

TEST_CASE("tiers --json has excludes with commands, effect, releases and text") {
  const json flat = excludes_in("flat");
  REQUIRE(flat.size() == 5);
  CHECK(flat[0] == json{{"commands", {"sync", "update", "teardown"}},
                        {"effect", "fail"},
                        {"releases", "1.1.0 to 1.3.1"},
                        {"text",
                         "grex sync, update and teardown of PATH, which exit with 3; but not those of "
                         "PATH/child, and jobs that lock only a pack"}});
  CHECK(flat[1] == json{{"commands", json::array()},
                        {"effect", nullptr},
                        {"releases", nullptr},
                        {"text", "no grex command, only other jobs, if no slot is free"}});
  for (const std::size_t tier : {2U, 3U, 4U}) CHECK(flat[tier]["effect"] == "wait");
  CHECK(flat[3]["commands"] == Words{"sync", "update"});

  const json nested = excludes_in("nested");
  CHECK(nested[2]["releases"] == "1.3.2 and later");
  CHECK(nested[4]["releases"] == "1.1.0 and later");
  CHECK(excludes_in("both")[2]["releases"] == "1.1.0 and later");

  // Without a META above PATH there is no nested backend lock.
  const TempDir dir;
  const json both = json::parse(run_tool({"tiers", "--json", "--layout", "both", dir.make("new")}).out)["tiers"];
  CHECK(both[3]["excludes"]["releases"] == "1.1.0 to 1.3.1");
}
