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

const std::string default_path = " (default PATH: the pack around the current directory)";
const std::string if_busy = "If a lock is busy, or an ancestor holds it:";
const std::string records = "Records and reports:";

const std::vector<Command> commands = {
    {"", {"Commands:", "Options, before or after COMMAND:"}},
    {"run", {"What to lock" + default_path + ":", if_busy, "Command:", records}},
    {"hold",
     {"What to lock" + default_path + ":", if_busy,
      "How long to keep the locks (whichever comes first):", "Holding:", records}},
    {"release", {"Which hold:", "If the hold does not end:", "Reports:"}},
    {"wait", {"Which locks" + default_path + ":", if_busy, "Reports:"}},
    {"fd", {"What to lock:", if_busy, records}},
    {"probe", {"Which locks" + default_path + ":", if_busy, "Reports:"}},
    {"status", {"Output:"}},
    {"stack", {"Options:"}},
    {"tiers", {"Options:"}},
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

// The command line of the last paragraph.
std::string example_of(const std::string& command) {
  const std::string text = help(command).out;
  const std::string heading = "\n\nExample: ";
  const auto at = text.rfind(heading);
  if (at == std::string::npos) return {};
  const auto start = at + heading.size();
  return text.substr(start, text.find('\n', start) - start);
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
    // A heading, a line for each option, and a blank line between groups.
    const auto first = std::find_if(lines.begin(), lines.end(), [](const auto& line) { return line.ends_with(':'); });
    const auto last = std::find_if(lines.begin(), lines.end(), [](const auto& line) { return line.starts_with("Ex"); });
    for (auto line = first; line < last; ++line) {
      CAPTURE(*line);
      constexpr std::size_t description_column = 30;
      const bool is_option = line->starts_with("  -");
      CHECK((is_option || line->empty() || line->ends_with(':') || command.empty()));
      if (is_option) CHECK((line->size() > description_column && line->substr(description_column - 2, 2) == "  "));
      CHECK_FALSE((line->empty() && std::next(line)->empty()));
    }
  }
  CHECK(run_tool({"run", "-h"}).out == run_tool({"run", "--help"}).out);
}

TEST_CASE("--help without a command lists the commands, and then the options") {
  const Words lines = lines_of(help("").out);
  CHECK(lines.front() == "Lock the packs and workspaces of grex, as flock(1) locks files.");
  CHECK(lines.back() == "'grex-lock COMMAND --help' shows the options of COMMAND; see also grex-lock(1).");
  auto line = std::find(lines.begin(), lines.end(), "Commands:");
  for (const auto& [command, groups] : commands) {
    if (!command.empty()) CHECK((++line)->starts_with("  " + command + " "));
  }
  CHECK((line + 2) == std::find(lines.begin(), lines.end(), "Options, before or after COMMAND:"));
}

TEST_CASE("--help shows each option once, without flock(1)'s other spellings") {
  const std::string text = help("run").out;
  for (const char* const line : {"\n  -w, --timeout DURATION      give up after 5, 0.25, 250ms, 2m or 1h\n",
                                 "\n  -n, --nonblock              fail immediately if busy\n",
                                 "\n  -x, --exclusive             allow no other lock (default)\n",
                                 "\n  --guard[=DIR]               keep grex sync, update and teardown out, too\n"}) {
    CAPTURE(line);
    CHECK(text.find(line) != std::string::npos);
  }
  for (const char* const other : {"-e,", "--nb", "--nonblocking", "--wait"}) {
    CAPTURE(other);
    CHECK(text.find(other) == std::string::npos);
  }
}

TEST_CASE("--help of every command ends with an example that runs as written") {
  const TempDir dir;
  dir.make("ws/app/.grex");
  dir.make("ws/lib");
  dir.make("ws/.grex");
  write_file(dir / "ws/.grex/pack.yaml", "");
  const std::string bin = dir.make("bin");
  std::filesystem::create_symlink(grex_lock(), bin + "/grex-lock");
  std::filesystem::create_symlink("/bin/true", bin + "/make");
  const Setup setup = {.environment = {{"HOME", dir.path()}, {"PATH", bin + ":/usr/bin:/bin"}}};
  for (const auto& [command, groups] : commands) {
    CAPTURE(command);
    const std::string example = example_of(command);
    CAPTURE(example);
    CHECK(example.find("grex-lock " + command) != std::string::npos);
    const Finished finished = finish(bash(example + "\n:"), setup);
    CAPTURE(finished.err);
    CHECK(finished.ended == exited(0));
    if (finished.out.starts_with("pid ")) reap(std::stoi(finished.out.substr(4)), SIGKILL);
  }
}

TEST_CASE("--version is a line, before and after a command") {
  CHECK(run_tool({"--version"}).out == "grex-lock 0.3.0\n");
  CHECK(run_tool({"status", "--version"}).out == "grex-lock 0.3.0\n");
  CHECK(run_tool({"-V"}).out == "grex-lock 0.3.0\n");
  CHECK(run_tool({"run", "-V"}).out == "grex-lock 0.3.0\n");
  const std::string document = "\"version\":1,\"grex_lock_version\":\"0.3.0\"}\n";
  CHECK(run_tool({"--json", "--version"}).out == "{\"verb\":\"\"," + document);
  CHECK(run_tool({"--version", "status", "--json"}).out == "{\"verb\":\"status\"," + document);
}
