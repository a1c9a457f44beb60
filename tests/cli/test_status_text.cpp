#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/process.hpp"
#include "support/stranger.hpp"
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

// SECURITY.md: set TZ to the name of a FIFO or of another user's file | it is not opened; times
// are in UTC
TEST_CASE("people read local times with the offset, programs UTC, and a TZ outside zoneinfo is ignored") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "zone").c_str(), 0666) == 0);
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  const auto line_in = [&dir](const std::string& zone) {
    return run_tool({"run", "-n", dir.path(), "--", "true"}, {.environment = {{"TZ", zone}}}).err;
  };
  const std::string document = run_tool({"status", "--json", dir.path()}).out;
  const std::string since = nlohmann::json::parse(document)["locks"][2]["holders"][0]["since"];
  CHECK(since.ends_with("Z"));
  // The minutes, which a zone of whole hours leaves alone, and the seconds.
  const std::string minutes = since.substr(since.find(':'), 6);
  CHECK(column_of(line_in("AAA-3"), minutes + "+03:00: ") > 0);
  CHECK(column_of(line_in("BBB+11"), minutes + "-11:00: ") > 0);
  CHECK(column_of(line_in(":" + (dir / "zone")), " since " + since.substr(11, 8) + "+00:00: ") > 0);
  const Setup ahead = {.environment = {{"TZ", "AAA-3"}}};
  CHECK(column_of(run_tool({"status", "-v", dir.path()}, ahead).out, minutes + "+03:00, by 'grex-lock run'") > 0);
}

TEST_CASE("a hold is shown without its options, which -v shows, and with what ends it") {
  const TempDir dir;
  const std::string pack = dir.make("the pack");
  const Finished held = run_tool({"--json", "hold", "--detach", "--for", "1h", "--note", "x", pack});
  const pid_t pid = nlohmann::json::parse(held.out)["locks"][0]["pid"];
  const std::string number = std::to_string(pid);
  CHECK(run_tool({"run", "-n", pack, "--", "true"}).err.ends_with(": [x] grex-lock hold\n"));
  const auto lines = lines_of(run_tool({"status", pack}).out);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].ends_with("  [x] grex-lock hold"));
  CHECK(lines[2] == "  to end it: grex-lock release '" + pack + "'");
  column_of(run_tool({"status", "-v", pack}).out, "hold --detach --for 1h --note x '" + pack + "'");
  column_of(run_tool({"status", "--json", pack}).out, "\"--detach\",\"--for\",\"1h\"");
  CHECK(run_tool({"status", "--json", pack}).out.find("to end it") == std::string::npos);
  const std::string graph = run_tool({"status", "--graph", pack}).out;
  column_of(graph, "\\ngrex-lock hold\"]");
  if (::geteuid() == 0) {
    ::chmod(dir.path().c_str(), 0755);
    CHECK(lines_of(run_tool({"status", pack}, as_nobody()).out).back() ==
          "  to end it, ask root, or use sudo grex-lock release '" + pack + "'");
  }
  reap(pid, SIGTERM);
}

TEST_CASE("a hold of several locks is shown with what ends it once, and not at its guard") {
  const TempDir dir;
  dir.make("ws/.grex");
  write_file(dir / "ws/.grex/pack.yaml", "");
  const std::string app = dir.make("ws/app");
  const std::string lib = dir.make("ws/lib");
  const Finished held = run_tool({"--json", "hold", "--detach", "--guard", app, lib});
  const pid_t pid = nlohmann::json::parse(held.out)["locks"][0]["pid"];
  const std::string text = run_tool({"status", "-r", dir / "ws"}).out;
  const auto hint = text.find("  to end it: grex-lock release " + app + "\n");
  REQUIRE(hint != std::string::npos);
  CHECK(text.find("to end", hint + 5) == std::string::npos);
  reap(pid, SIGTERM);

  const Finished synced = run_tool({"--json", "hold", "--detach", "-t", "workspace-sync", dir / "ws"});
  column_of(run_tool({"status", dir / "ws"}).out, "  to end it: grex-lock release -t workspace-sync " + dir / "ws\n");
  reap(nlohmann::json::parse(synced.out)["locks"][0]["pid"], SIGTERM);

  Process foreground(grex_lock({"hold", app}));
  foreground.line();
  CHECK(run_tool({"status", app}).out.find("to end it") == std::string::npos);

  // A release that doesn't say which of two holds it ends is refused.
  Process slot(grex_lock({"hold", "-t", "semaphore", lib}));
  slot.line();
  const Finished second = run_tool({"--json", "hold", "--detach", "-t", "semaphore", lib});
  const pid_t detached = nlohmann::json::parse(second.out)["locks"][0]["pid"];
  column_of(run_tool({"status", lib}).out,
            "  to end it: grex-lock release -t semaphore --pid " + std::to_string(detached) + " " + lib + "\n");
  reap(detached, SIGTERM);
}

TEST_CASE("a lock in an unknown state is shown with the reason, and with what helps") {
  if (!can_become_others()) return;
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0755);
  const std::string pack = dir.make("pack");
  dir.make("pack/.grex-lock");
  const std::string unsafe = run_tool({"status", pack}).out;
  CHECK(unsafe.starts_with("per-pack  unknown  " + pack + "/.grex-lock\n  "));
  column_of(unsafe, "\n  if it does not belong there, remove it");
  std::filesystem::remove(pack + "/.grex-lock");

  dir.make("pack/.grex");
  ::chmod((pack + "/.grex").c_str(), 0700);
  const auto lines = lines_of(run_tool({"status", pack}, as_nobody()).out);
  const auto hidden =
      std::find_if(lines.begin(), lines.end(), [](const std::string& line) { return line.starts_with("per-pack "); });
  REQUIRE(lines.end() - hidden > 1);
  CHECK(hidden[0] == "per-pack        unknown  " + pack + "/.grex/.grex-lock");
  CHECK(hidden[1] == "  " + pack + "/.grex: Permission denied: the directory belongs to root, mode 0700");
  CHECK(std::count(lines.begin(), lines.end(), "  ask its owner, or use sudo") == 1);
}

TEST_CASE("if there is nothing to show, status says so") {
  const TempDir dir;
  const Finished finished = run_tool({"status", dir.path()});
  CHECK(finished.ended == exited(0));
  CHECK(finished.out == "no lock files yet for " + dir.path() + "; -v shows their paths, -r lock files further down\n");
  CHECK(run_tool({"status"}, in(dir.path())).out ==
        "no lock files yet for " + dir.path() + "; -v shows their paths, --all every grex lock held\n");
  CHECK(run_tool({"status", dir.path(), dir.make("other")}).out ==
        "no lock files yet; -v shows their paths, -r lock files further down\n");
  CHECK(run_tool({"status", "-r", dir.path()}).out == "no lock files\n");
  CHECK(run_tool({"status", "--held", dir.path()}).out == "no lock is held or waited for\n");
}

TEST_CASE("at a workspace without a held lock, status says how to see those of its packs") {
  const TempDir dir;
  const std::string ws = dir.make("ws");
  run_tool({"run", ws, "--", "true"});
  const std::string hint = "-r shows the locks below " + ws + "\n";
  const auto has_hint = [&hint](const Words& words) { return finish(words).out.ends_with(hint); };
  CHECK_FALSE(has_hint(grex_lock({"status", ws})));
  write_file(ws + "/.grex/pack.yaml", "");
  CHECK(has_hint(grex_lock({"status", ws})));
  CHECK(run_tool({"status"}, in(ws)).out.ends_with(hint));
  CHECK_FALSE(has_hint(grex_lock({"status", "-r", ws})));
  CHECK_FALSE(has_hint(grex_lock({"status", ws, dir.path()})));
  CHECK_FALSE(has_hint(grex_lock({"run", "-q", ws, "--", grex_lock(), "status", ws})));
}

TEST_CASE("for a directory inside a pack, status names the pack and the line to type") {
  const TempDir dir;
  const std::string app = dir.make("ws/app");
  dir.make("ws/app/.git");
  const std::string part = dir.make("ws/app/src");
  write_file(dir.make("ws/.grex") + "/pack.yaml", "");
  const std::string hint = part + " is not a pack, but lies in one: grex-lock status " + app + "\n";
  const auto hints = [](const Words& options, const std::string& path) {
    Words words = grex_lock({"status"});
    words.insert(words.end(), options.begin(), options.end());
    words.push_back(path);
    return finish(words).out;
  };
  Process tool(grex_lock({"run", app, "--", "sh", "-c", "echo; read line"}));
  tool.line();
  CHECK(hints({}, part).ends_with(hint));
  CHECK(hints({"--held"}, part) == "no lock is held or waited for\n" + hint);
  for (const char* const option : {"-r", "--json", "--graph"}) {
    CAPTURE(option);
    CHECK(hints({option}, part).find("lies in one") == std::string::npos);
  }
  CHECK(hints({}, app).find("lies in one") == std::string::npos);
  CHECK(hints({}, dir.make("ws/lib")).find("lies in one") == std::string::npos);
  CHECK(run_tool({"status"}, in(part)).out.find("lies in one") == std::string::npos);
}

TEST_CASE("a guard is shown with the time and the note of its pack's lock, and no other shared lock") {
  const TempDir dir;
  write_file(dir.make("ws/.grex") + "/pack.yaml", "");
  const std::string app = dir.make("ws/app");
  Process tool(grex_lock({"run", "--guard", "--note", "nightly", app, "--", "sh", "-c", "echo; read line"}));
  Process other(grex_lock({"run", "-s", "-t", "workspace-sync", dir / "ws", "--", "sh", "-c", "echo; read line"}));
  tool.line();
  other.line();
  const std::string text = run_tool({"status", "-r", dir / "ws"}).out;
  column_of(text, "s  [nightly] " + grex_lock() + " run --guard --note nightly " + app);
  column_of(text, "s  [nightly] sh -c 'echo; read line'");
  const auto locks = nlohmann::json::parse(run_tool({"status", "--json", "-r", dir / "ws"}).out)["locks"];
  REQUIRE(locks.size() >= 2);
  CHECK(locks[0]["tier"] == "workspace-sync");
  CHECK(locks[0]["record"] == "none");
  std::size_t described = 0;
  for (const auto& holder : locks[0]["holders"]) {
    const bool is_guard = holder["pid"] == tool.pid();
    CHECK(holder["since"].is_null() == !is_guard);
    CHECK(holder["note"].is_null() == !is_guard);
    if (is_guard) ++described;
  }
  CHECK(described == 1);
}

TEST_CASE("a holder that is stopped is shown as such") {
  const TempDir dir;
  Process tool({"flock", "-F", dir / ".grex-lock", "sh", "-c", "echo; read line"});
  tool.line();
  const auto has = [&dir](const char* part) {
    return run_tool({"status", dir.path()}).out.find(part) != std::string::npos;
  };
  CHECK_FALSE(has("(stopped)"));
  tool.signal(SIGSTOP);
  until([&has] { return has("  (stopped) sh -c 'echo; read line'"); });
  tool.signal(SIGCONT);
  until([&has] { return !has("(stopped)"); });
}

TEST_CASE("for a free pack of a locked workspace, status names the workspace and the line to type") {
  const TempDir dir;
  const std::string ws = dir.make("the ws");
  write_file(dir.make("the ws/.grex") + "/pack.yaml", "");
  const std::string app = dir.make("the ws/app");
  const std::string lib = dir.make("the ws/lib");
  const std::string hint = "the workspace " + ws + " is locked: grex-lock status '" + ws + "'\n";
  const auto has_hint = [&hint](const Words& words) { return finish(words).out.find(hint) != std::string::npos; };
  CHECK_FALSE(has_hint(grex_lock({"status", lib})));
  Process tool(grex_lock({"run", "--guard", app, "--", "sh", "-c", "echo; read line"}));
  tool.line();
  CHECK(has_hint(grex_lock({"status", lib})));
  CHECK(run_tool({"status"}, in(lib)).out.find(hint) == std::string::npos);  // without a mark, it is no pack
  dir.make("the ws/lib/.git");
  CHECK(run_tool({"status"}, in(lib)).out.ends_with(hint));
  CHECK_FALSE(has_hint(grex_lock({"status", app})));
  CHECK_FALSE(has_hint(grex_lock({"status", ws})));
  CHECK_FALSE(has_hint(grex_lock({"status", "--json", lib})));
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

TEST_CASE("an acquirer that is gone is shown as gone, below its fd-holders") {
  const TempDir dir;
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  tool.signal(SIGKILL);
  CHECK(tool.wait() == killed_by(SIGKILL));
  const auto lines = lines_of(run_tool({"status", dir.path()}).out);
  REQUIRE(lines.size() == 3);
  CHECK(lines[1].starts_with("  held by  "));
  CHECK(lines[1].find("└") == std::string::npos);
  column_of(lines[1], "sh -c 'echo; read line'");
  column_of(lines[2], "(gone) sh");
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

// SECURITY.md: put the same into JSON, or quotes into the graph | valid JSON; one label
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
