#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "support/terminal.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

const std::string other_screen = "\x1b[?1049h";
const std::string first_screen = "\x1b[?1049l";

// The default interval is so long that only a key or a signal draws again.
Words watch(const std::string& path, const std::string& interval = "1000") {
  return grex_lock({"status", "--color=never", "--watch=" + interval, path});
}

// The lines of the next drawing, without the sequences that clear the old text.
Words next_drawing(Terminal& terminal) {
  terminal.expect("\x1b[H");
  std::istringstream drawn(terminal.expect("\x1b[J"));
  Words lines;
  for (std::string line; std::getline(drawn, line);) {
    std::erase(line, '\r');
    lines.push_back(line.substr(0, line.find("\x1b[K")));
  }
  return lines;
}

// How many columns the widest line takes.
std::size_t width_of(const Words& lines) {
  std::size_t width = 0;
  for (const std::string& line : lines) {
    const auto continued = std::count_if(line.begin(), line.end(), [](char c) { return (c & '\xc0') == '\x80'; });
    width = std::max(width, line.size() - static_cast<std::size_t>(continued));
  }
  return width;
}

}  // namespace

TEST_CASE("--watch shows changes, and q restores the screen") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  Terminal terminal(watch(dir.path(), "0.1"));
  terminal.expect(other_screen);
  terminal.expect("per-pack  free  ");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  terminal.expect("per-pack  held  ");
  terminal.type("q");
  terminal.expect(first_screen);
  CHECK(terminal.wait() == exited(0));
}

TEST_CASE("a key refreshes immediately") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  Terminal terminal(watch(dir.path()));
  terminal.expect("per-pack  free  ");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  terminal.type(" ");
  terminal.expect("per-pack  held  ");
  CHECK(terminal.expect("held by").find(" every 16m 40s") == std::string::npos);
}

TEST_CASE("a signal ends the view and restores the screen") {
  const TempDir dir;
  for (const int signal : {SIGTERM, SIGHUP, SIGQUIT}) {
    Terminal terminal(watch(dir.path()));
    terminal.expect("no lock files yet");
    ::kill(terminal.pid(), signal);
    terminal.expect(first_screen);
    CHECK(terminal.wait() == exited(128 + signal));
  }
  Terminal terminal(watch(dir.path()));
  terminal.expect("no lock files yet");
  terminal.type(ctrl_c);
  terminal.expect(first_screen);
  CHECK(terminal.wait() == killed_by(SIGINT));  // so that a script ends too
}

TEST_CASE("Ctrl-Z restores the screen, and fg returns to the view") {
  const TempDir dir;
  Terminal shell({"bash", "--norc", "--noprofile", "-i"},
                 {.environment = {{"PS1", "@> "}, {"DIR", dir.path()}, {"LOCK", grex_lock()}}});
  shell.expect("@> ");
  shell.type("\"$LOCK\" status --watch=1000 \"$DIR\"\r");
  shell.expect("no lock files yet");
  shell.type(ctrl_z);
  shell.expect(first_screen);
  shell.expect("Stopped");
  shell.type("stty -a | grep -o -e '-icanon' -e 'icanon'\r");
  CHECK_FALSE(shell.expect("icanon\r\n").ends_with('-'));
  shell.type("fg\r");
  shell.expect(other_screen);
  shell.expect("no lock files yet");
  shell.type("q");
  shell.expect(first_screen);
  shell.type("echo status $?\r");
  shell.expect("status 0\r\n");
}

TEST_CASE("a resized terminal is redrawn immediately, with as many lines and columns as fit") {
  const TempDir dir;
  constexpr int many = 30;  // and two lines above them
  for (int i = 0; i < many; ++i) {
    dir.make("p" + std::to_string(i));
    write_file(dir / ("p" + std::to_string(i) + "/.grex-lock"), "");
  }
  const auto small = [] {
    const winsize size = {.ws_row = 10, .ws_col = 30, .ws_xpixel = 0, .ws_ypixel = 0};
    ::ioctl(STDOUT_FILENO, TIOCSWINSZ, &size);
  };
  Terminal terminal(grex_lock({"status", "--color=never", "-r", "--watch=1000", dir.path()}), {.before_exec = small});
  Words lines = next_drawing(terminal);
  CHECK(lines.size() == 10);
  CHECK(width_of(lines) == 30);
  CHECK(lines.back() == "… 23 lines more");
  for (const auto& [rows, columns] : {std::pair<unsigned short, unsigned short>(14, 30), {14, 40}, {5, 20}}) {
    CAPTURE(rows);
    terminal.resize(rows, columns);
    lines = next_drawing(terminal);
    CHECK(lines.size() == rows);
    CHECK(width_of(lines) == columns);
    CHECK(lines.back() == "… " + std::to_string(many + 2 + 1 - rows) + " lines more");
  }
  terminal.resize(many + 2, 200);
  lines = next_drawing(terminal);
  CHECK(lines.size() == many + 2);
  CHECK(lines.back().starts_with("per-pack  free  " + dir.path()));
}

TEST_CASE("in a pipe one report follows another, with --json one document a line") {
  const TempDir dir;
  Process tool(grex_lock({"status", "--json", "--watch=0.1", dir.path()}));
  const json first = json::parse(tool.line());
  const json second = json::parse(tool.line());
  CHECK(first["verb"] == "status");
  CHECK(second["taken_at"] > first["taken_at"]);
  Process text(grex_lock({"status", "--watch=0.1", dir.path()}));
  const std::string line = "no lock files yet for " + dir.path() + "; -v shows their paths, -r lock files further down";
  CHECK(text.line() == line);
  CHECK(text.line() == line);
}

TEST_CASE("--watch of a missing path fails, and the screen stays") {
  const TempDir dir;
  Terminal terminal(watch(dir / "none"));
  const std::string output = terminal.rest();
  CHECK(output.find(other_screen) == std::string::npos);
  CHECK(output.starts_with("grex-lock: "));
  CHECK(terminal.wait() == exited(66));
}

TEST_CASE("a signal ends the view even if Ctrl-S stopped the terminal") {
  const TempDir dir;
  Terminal terminal(watch(dir.path(), "0.1"));
  terminal.expect("no lock files yet");
  terminal.type("\x13");
  ::kill(terminal.pid(), SIGTERM);
  CHECK(terminal.wait() == exited(128 + SIGTERM));
}
