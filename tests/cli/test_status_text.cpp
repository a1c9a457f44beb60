#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

using namespace grex::test;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// The offset of the part in the line.
std::size_t column_of(const std::string& line, const std::string& part) {
  CAPTURE(line);
  CAPTURE(part);
  const auto at = line.find(part);
  CHECK(at != std::string::npos);
  return at;
}

// A holder whose command has a child that has the lock, too; its first line is the
// child's PID.
Words with_child(const TempDir& dir) {
  return grex_lock(
      {"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "tail -f /dev/null & echo $!; read line; kill $!"});
}

}  // namespace

TEST_CASE("a lock is shown with its holder below it, and an absent one only with -v") {
  const TempDir dir;
  write_file(dir / ".grex.sync.lock", "");
  Process tool(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  const auto lines = lines_of(run_tool({"status", dir.path()}).out);
  REQUIRE(lines.size() == 4);
  CHECK(lines[0] == "workspace-sync  free  " + dir / ".grex.sync.lock");
  CHECK(lines[1] == "per-pack        held  " + dir / ".grex-lock");
  CHECK(lines[2].starts_with("  held by  "));
  column_of(lines[2], std::to_string(tool.pid()) + "  ");
  column_of(lines[2], "s  [nightly] sh -c 'echo; read line'");

  const std::string everything = run_tool({"status", "-v", dir.path()}).out;
  for (const char* const part : {"semaphore       absent  ", "backend         absent  ", "manifest        absent  ",
                                 "evidence: ", ", record: valid", "by 'grex-lock run'", "  in "}) {
    CAPTURE(part);
    CHECK(everything.find(part) != std::string::npos);
  }
}

TEST_CASE("if there is nothing to show, status says so") {
  const TempDir dir;
  const Finished finished = run_tool({"status", dir.path()});
  CHECK(finished.ended == exited(0));
  CHECK(finished.out == "no lock file there yet; -v tells where each would be\n");
  CHECK(run_tool({"status", "-r", dir.path()}).out == "no lock file there\n");
  CHECK(run_tool({"status", "--held", dir.path()}).out == "no lock is held or waited for\n");
}

TEST_CASE("a holder's children that have the lock are shown under it, and then the waiters") {
  const TempDir dir;
  Process tool(with_child(dir));
  const std::string child = tool.line();
  Process waiter({"flock", dir / ".grex-lock", "true"});
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  const auto lines = lines_of(run_tool({"status", dir.path()}).out);
  REQUIRE(lines.size() == 5);
  column_of(lines[1], " " + std::to_string(tool.pid()) + " ");
  const auto shell = column_of(lines[2], "└ sh -c ");
  const auto tail = column_of(lines[3], "└ tail");
  CHECK(tail == shell + 2);
  column_of(lines[3], " " + child + " ");
  CHECK(lines[4].starts_with("  waiting  "));
  column_of(lines[4], " " + std::to_string(waiter.pid()) + " ");
  column_of(lines[4], "flock " + dir / ".grex-lock");
  tool.write("\n");
  CHECK(tool.wait().by_signal == false);
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("each sharer is shown as such, with its child") {
  const TempDir dir;
  Process first(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo; read line"}));
  Process second(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo; read line"}));
  first.line();
  second.line();
  const auto lines = lines_of(run_tool({"status", dir.path()}).out);
  CHECK(lines[0] == "per-pack  shared  " + dir / ".grex-lock");
  CHECK(lines.size() == 5);
}

TEST_CASE("an acquirer that is gone is shown as gone, above its fd-holders") {
  const TempDir dir;
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  tool.signal(SIGKILL);
  CHECK(tool.wait() == killed_by(SIGKILL));
  const auto lines = lines_of(run_tool({"status", dir.path()}).out);
  REQUIRE(lines.size() == 3);
  column_of(lines[1], "(gone) sh");
  CHECK(lines[2].find("└") == std::string::npos);
  column_of(lines[2], "sh -c 'echo; read line'");
}

TEST_CASE("lines are cut on a narrow terminal, a path at its start, but not in a pipe") {
  const TempDir dir;
  const std::string pack = dir.make("a-directory-of-a-rather-long-name/the-pack");
  Process tool(grex_lock({"run", pack, "--", "sh", "-c", "echo; read line", "a word that is longer than a line"}));
  tool.line();
  constexpr unsigned short columns = 40;
  Terminal narrow(grex_lock({"status", "--color=never", pack}), {.before_exec = [] {
                    const winsize size = {.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
                    ::ioctl(STDOUT_FILENO, TIOCSWINSZ, &size);
                  }});
  auto lines = lines_of(narrow.rest());
  REQUIRE(lines.size() == 3);
  for (std::string& line : lines) {
    std::erase(line, '\r');
    // The ellipsis is three bytes and one column.
    const auto continued = std::count_if(line.begin(), line.end(), [](char c) { return (c & '\xc0') == '\x80'; });
    CHECK(line.size() - static_cast<std::size_t>(continued) <= columns);
  }
  CHECK(lines[0].starts_with("per-pack  held  …"));
  CHECK(lines[0].ends_with("/the-pack/.grex-lock"));
  CHECK(lines[1].ends_with("…"));
  CHECK(std::count(lines[1].begin(), lines[1].end(), '\xa6') == 1);  // the ellipsis's last byte: cut once
  CHECK(run_tool({"status", pack}).out.find("'a word that is longer than a line'") != std::string::npos);
}

// SECURITY.md: the same in JSON, or quotes in the graph | valid JSON; one label
TEST_CASE("in the graph a command is a label, whatever is in it") {
  const TempDir dir;
  const std::string pack = dir.make("\"]; wicked [label=\"\\\x1b");
  Process tool(grex_lock({"run", pack, "--", "sh", "-c", "echo; read line", "\"]; evil [label=\"\\", "\x1b[2J"}));
  tool.line();
  const std::string dot = run_tool({"status", "--graph", pack}).out;
  CHECK(dot.find('\x1b') == std::string::npos);
  // Without the escaped characters, each string has only its pair of quotes.
  std::string plain;
  for (std::size_t i = 0; i < dot.size(); ++i) {
    if (dot[i] == '\\') {
      ++i;
    } else {
      plain += dot[i];
    }
  }
  for (const char* const part : {"evil", "wicked"}) {
    CAPTURE(part);
    const std::size_t begin = plain.find(part);
    REQUIRE(begin != std::string::npos);
    CHECK(std::count(plain.begin(), plain.begin() + static_cast<std::ptrdiff_t>(begin), '"') % 2 == 1);
  }
  CHECK(std::count(plain.begin(), plain.end(), '"') % 2 == 0);
}
