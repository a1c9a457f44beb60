#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;

namespace {

struct Command {
  std::string name;
  Words groups;  // of options that --help must have
};

const std::vector<Command> commands = {
    {"", {"General:", "Commands:"}},
    {"run", {"General:", "Lock:", "Waiting:", "Record:", "Command:"}},
    {"probe", {"General:", "Lock:"}},
    {"status", {"General:"}},
    {"hold", {"General:", "Lock:", "Waiting:", "Record:", "Holding:"}},
    {"release", {"General:", "Lock:"}},
    {"wait", {"General:", "Lock:", "Waiting:"}},
    {"fd", {"General:", "Lock:", "Waiting:", "Record:"}},
    {"stack", {"General:"}},
    {"tiers", {"General:"}},
};

Finished help(const std::string& command) {
  return command.empty() ? run_tool({"--help"}) : run_tool({command, "--help"});
}

Words lines_of(const std::string& text) {
  std::istringstream stream(text);
  Words lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The lines after the last heading.
Words examples_of(const std::string& command) {
  const std::string text = help(command).out;
  const std::string heading = "\nExamples:\n";
  const auto at = text.find(heading);
  return at == std::string::npos ? Words{} : lines_of(text.substr(at + heading.size()));
}

bool has(const Words& lines, const std::string& line) {
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

}  // namespace

TEST_CASE("--help of every command is on stdout, fits a screen, and groups the options") {
  constexpr std::size_t most_lines = 50;
  constexpr std::size_t most_columns = 80;
  for (const auto& [command, groups] : commands) {
    CAPTURE(command);
    const Finished finished = help(command);
    CHECK(finished.ended == exited(0));
    CHECK(finished.err.empty());
    CHECK(finished.out.find("Usage: grex-lock") != std::string::npos);
    CHECK(finished.out.back() == '\n');
    const Words lines = lines_of(finished.out);
    CHECK(lines.size() <= most_lines);
    for (const std::string& line : lines) {
      CAPTURE(line);
      CHECK(line.size() <= most_columns);
    }
    for (const std::string& group : groups) {
      CAPTURE(group);
      CHECK(has(lines, group));
    }
    CHECK_FALSE(has(lines, "Options:"));  // CLI11's heading for options without a group
  }
  CHECK(run_tool({"run", "-h"}).out == run_tool({"run", "--help"}).out);
}

TEST_CASE("--help of every command ends with two examples that run as written") {
  const TempDir dir;
  dir.make("ws/app");
  dir.make("ws/lib");
  const std::string bin = dir.make("bin");
  std::filesystem::create_symlink(grex_lock(), bin + "/grex-lock");
  for (const char* const other : {"git", "jq", "make"}) std::filesystem::create_symlink("/bin/true", bin + "/" + other);
  const Setup setup = {.environment = {{"HOME", dir.path()}, {"PATH", bin + ":/usr/bin:/bin"}}};
  std::vector<pid_t> holds;
  for (const auto& [command, groups] : commands) {
    CAPTURE(command);
    const Words examples = examples_of(command);
    CHECK(examples.size() == 2);
    for (const std::string& example : examples) {
      CAPTURE(example);
      CHECK(example.starts_with("  "));
      CHECK(example.find("grex-lock " + command) != std::string::npos);
      // `fd -u 9` needs a descriptor that an earlier line opened.
      const Finished finished = finish(bash("exec 9>>~/ws/app/.grex-lock\n" + example), setup);
      CAPTURE(finished.err);
      constexpr int nothing_to_release = 69;
      CHECK((finished.ended == exited(0) || (command == "release" && finished.ended == exited(nothing_to_release))));
      if (finished.out.starts_with("pid ")) holds.push_back(std::stoi(finished.out.substr(4)));
    }
  }
  for (const pid_t hold : holds) reap(hold, SIGKILL);
}

TEST_CASE("--version is a line, before and after a command") {
  CHECK(run_tool({"--version"}).out == "grex-lock 0.1.1\n");
  CHECK(run_tool({"status", "--version"}).out == "grex-lock 0.1.1\n");
}
