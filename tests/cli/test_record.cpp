// The holder record: what it says, what it replaces, and what is left of it.

#include <doctest/doctest.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/fd.hpp"
#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

json record_in(const std::string& path) { return json::parse(content_of(path)); }

json pack_lock(const TempDir& dir) { return json::parse(run_tool({"status", "--json", dir.path()}).out)["locks"][2]; }

std::uint64_t boot_clock_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

// What grex-lock 0.1 wrote.
std::string old_record(pid_t pid) {
  json record = {{"pid", pid},
                 {"start_time", 1},
                 {"boot_id", "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"},
                 {"pid_ns", "pid:[4026531836]"},
                 {"host", "host"},
                 {"uid", 0},
                 {"command", {"npm", "pack", "--token=secret"}},
                 {"cwd", "/"},
                 {"tier", "per-pack"},
                 {"since", "2026-01-31T09:05:07.250Z"},
                 {"note", "old"},
                 {"verb", "run"}};
  const std::string pid_text = "\"pid\":" + std::to_string(pid) + ",";
  std::string text = record.dump();
  text.erase(text.find(pid_text), pid_text.size());
  return "{" + pid_text + text.substr(1) + "\n";
}

}  // namespace

TEST_CASE("the record has the program's name, never arguments, and status shows the arguments of a visible holder") {
  const TempDir dir;
  const std::uint64_t before = boot_clock_now();
  Process tool(grex_lock({"run", dir.path(), "--", "/bin/sh", "-c", "echo; read line", "--token=secret"}));
  tool.line();
  const std::string path = dir / ".grex/.grex-lock";
  CHECK(content_of(path).find("secret") == std::string::npos);
  const json record = record_in(path);
  CHECK(record["command"] == Words{"sh"});
  CHECK(record["path"] == path);
  CHECK(record["taken"].get<std::uint64_t>() > before);
  CHECK(record["taken"].get<std::uint64_t>() < boot_clock_now());
  const json lock = pack_lock(dir);
  CHECK(lock["record"] == "valid");
  CHECK(lock["last"].is_null());
  CHECK(lock["holders"][0]["command"] == Words{"/bin/sh", "-c", "echo; read line", "--token=secret"});
  CHECK(lock["holders"][0]["verb"] == "run");

  // A killed job leaves no secret behind, either.
  tool.signal(SIGKILL);
  tool.wait();
  CHECK(content_of(path).find("secret") == std::string::npos);
  // Nor does a command whose words are all in one, which does not exist.
  const std::string other = dir.make("other");
  CHECK(run_tool({"run", other, "--", "deploy --token=secret /bin/x"}).ended == exited(127));
  CHECK(content_of(other + "/.grex/.grex-lock").find("secret") == std::string::npos);
  CHECK(record_in(other + "/.grex/.grex-lock")["command"] == Words{"deploy"});
}

TEST_CASE("-c leaves the name of the shell in the record") {
  const TempDir dir;
  const std::string path = dir / ".grex/.grex-lock";
  const Finished finished =
      run_tool({"run", dir.path(), "-c", "cat " + path + " # secret"}, {.environment = {{"SHELL", "/bin/sh"}}});
  CHECK(json::parse(finished.out)["command"] == Words{"sh"});
  CHECK(finished.out.find("secret") == std::string::npos);
}

TEST_CASE("status shows who held a free lock last, for how long, and how it ended") {
  const TempDir dir;
  CHECK(run_tool({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "exit 3"}).ended == exited(3));
  const json lock = pack_lock(dir);
  CHECK(lock["state"] == "free");
  CHECK(lock["record"] == "none");
  const json last = lock["last"];
  CHECK(last["pid"] == record_in(dir / ".grex/.grex-lock")["pid"]);
  CHECK(last["command"] == Words{"sh"});
  CHECK(last["exit_code"] == 3);
  CHECK(last["note"] == "nightly");
  CHECK(last["verb"] == "run");
  CHECK(last["held_ms"].get<int>() >= 0);
  CHECK(last["released"].get<std::string>() >= last["since"].get<std::string>());
  const std::string text = run_tool({"status", dir.path()}).out;
  CHECK(text.find("\n  last  " + std::to_string(last["pid"].get<int>()) + "  ") != std::string::npos);
  CHECK(text.find("  [nightly] sh, released ") != std::string::npos);
  CHECK(text.find(" ago, exit code 3\n") != std::string::npos);

  CHECK(run_tool({"run", dir.path(), "--", "sh", "-c", "kill -TERM $$"}).ended == exited(128 + 15));
  CHECK(pack_lock(dir)["last"]["exit_code"] == 128 + 15);

  // Who holds it without a record was not the last to release it.
  Process shared(grex_lock({"run", "-s", dir.path(), "--", "sh", "-c", "echo; read line"}));
  shared.line();
  CHECK(pack_lock(dir)["last"]["exit_code"] == 128 + 15);
  CHECK(run_tool({"status", dir.path()}).out.find("last") == std::string::npos);
}

TEST_CASE("a hold that was released and a descriptor that was unlocked are the last, too") {
  const TempDir dir;
  Process hold(grex_lock({"hold", dir.path()}));
  hold.line();
  CHECK(run_tool({"release", dir.path()}).ended == exited(0));
  hold.wait();
  json last = pack_lock(dir)["last"];
  CHECK(last["pid"] == hold.pid());
  CHECK(last["verb"] == "hold");
  CHECK(last["exit_code"] == 0);
  finish(bash("exec 8>>.grex-lock 9>>.grex/.grex-lock; \"$LOCK\" fd 8 9; \"$LOCK\" fd -u 8 9"), in(dir.path()));
  last = pack_lock(dir)["last"];
  CHECK(last["verb"] == "fd");
  CHECK(last["command"] == Words{"bash"});
  CHECK(last["exit_code"].is_null());
}

TEST_CASE("a command that unlocks the lock is not the last holder once another one has had it") {
  const TempDir dir;
  const std::string unlock =
      "for fd in /proc/$$/fd/*; do [[ $(readlink $fd) == *.grex-lock ]] && flock -u ${fd##*/}; done; echo; read line";
  Process first(grex_lock({"run", dir.path(), "--", "bash", "-c", unlock}));
  first.line();
  CHECK(run_tool({"run", "-n", "--note", "second", dir.path(), "--", "sh", "-c", "exit 3"}).ended == exited(3));
  const json last = pack_lock(dir)["last"];
  CHECK(last["note"] == "second");
  first.close_input();
  first.wait();
  CHECK(pack_lock(dir)["last"] == last);
}

TEST_CASE("a damaged record is replaced, and a record can be written again from then on") {
  const TempDir dir;
  const std::string path = dir / ".grex/.grex-lock";
  run_tool({"run", dir.path(), "--", "true"});
  const std::string whole = content_of(path);
  for (const std::string& damaged :
       {std::string(1, '\0'), std::string(4096, '\0'), whole.substr(0, 100), whole + "4242\n",
        old_record(4242) + "4242\n", std::string("{\"pid\":"), "{\"pid\":" + std::string(4000, 'x')}) {
    CAPTURE(damaged);
    write_file(path, damaged);
    CHECK(pack_lock(dir)["record"] == "none");
    const Finished finished = run_tool({"run", "--note", "new", dir.path(), "--", "cat", path});
    CHECK(json::parse(finished.out)["note"] == "new");
    CHECK(record_in(path)["exit_code"] == 0);
    CHECK(content_of(path).size() % 512 == 0);
  }
}

TEST_CASE("what a program appends to a descriptor's record goes when the record is written again") {
  const TempDir dir;
  const Finished script = finish(
      bash("exec 9>>.grex-lock; \"$LOCK\" fd -q 9; echo $$ >&9; \"$LOCK\" fd -u 9; \"$LOCK\" fd -q 9; cat .grex-lock"),
      in(dir.path()));
  CHECK(json::parse(script.out)["verb"] == "fd");
}

TEST_CASE("content that is no record stays, the hold says so, and release finds the hold") {
  const TempDir dir;
  dir.make(".grex");
  const std::string path = dir / ".grex/.grex-lock";
  for (const std::string& content :
       {std::string("pid=123\n"), std::string("\0x", 2), "{\"pid\":" + std::string(4096, 'x')}) {
    CAPTURE(content);
    write_file(path, content);
    Process hold(grex_lock({"hold", dir.path()}));
    CHECK(hold.error_line() == "grex-lock: no holder record: " + path + ": contains other data");
    hold.line();
    CHECK(content_of(path) == content);
    CHECK(run_tool({"release", dir.path()}).ended == exited(0));
    CHECK(hold.wait() == exited(0));
    CHECK(content_of(path) == content);
  }
}

TEST_CASE("a record of grex-lock 0.1 is read and replaced, and a new one has all that it wants to read") {
  const TempDir dir;
  const std::string path = dir / ".grex/.grex-lock";
  dir.make(".grex");
  write_file(path, old_record(::getpid()));
  CHECK(pack_lock(dir)["record"] == "stale");
  const json record = json::parse(run_tool({"run", dir.path(), "--", "cat", path}).out);
  for (const char* const key : {"boot_id", "pid_ns", "host", "cwd", "tier", "since", "note", "verb"}) {
    CAPTURE(key);
    CHECK(record[key].is_string());
  }
  for (const char* const key : {"pid", "start_time", "uid"}) {
    CAPTURE(key);
    CHECK(record[key].is_number_unsigned());
  }
  CHECK(record["command"].is_array());
  CHECK(content_of(path).size() <= 4096);
}

TEST_CASE("once the command has run on, and at once in a hold, the record tells the boot and the PID namespace") {
  const TempDir dir;
  const std::string path = dir / ".grex/.grex-lock";
  std::string boot = content_of("/proc/sys/kernel/random/boot_id");
  boot.pop_back();
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  CHECK(pack_lock(dir)["record"] == "valid");
  until([&path, &boot] { return content_of(path).find(boot) != std::string::npos; });
  CHECK(record_in(path)["start_time"] == start_time_of(tool.pid()));
  CHECK(record_in(path)["pid_ns"] == std::filesystem::read_symlink("/proc/self/ns/pid").string());
  CHECK(pack_lock(dir)["record"] == "valid");
  tool.close_input();
  tool.wait();
  CHECK(record_in(path)["boot_id"] == boot);

  Process hold(grex_lock({"hold", dir.path()}));
  hold.line();
  CHECK(record_in(path)["boot_id"] == boot);
}

// SECURITY.md: as the command, unlock what it inherited, so that another holder's record is overwritten | the lock is
// tried, or looked for, before the record is written
TEST_CASE("once the command has run on, only the records of locks that it hasn't unlocked are written again") {
  const FlatLayout one_file;
  const TempDir dir;
  dir.make("a");
  dir.make("b");
  const std::string a = dir / "a/.grex-lock";
  Process tool(grex_lock(
      {"run", dir / "a", dir / "b", "--", "bash", "-c",
       "for f in /proc/$$/fd/*; do [ $(readlink $f) = " + a + " ] && flock -u ${f##*/}; done; echo ready; read line"}));
  CHECK(tool.line() == "ready");
  const Fd other = lock_as_grex(a);
  write_file(a, "another's record");
  until([&] { return record_in(dir / "b/.grex-lock")["boot_id"] != ""; });
  tool.close_input();
  tool.wait();
  CHECK(content_of(a) == "another's record");
}

TEST_CASE("a start ahead of the clock is not known") {
  const FlatLayout one_file;
  const TempDir dir;
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  json record = record_in(dir / ".grex-lock");
  record["since"] = "2999-01-01T00:00:00.000Z";
  write_file(dir / ".grex-lock", record.dump());
  const json lock = pack_lock(dir);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["held_ms"].is_null());
  const Finished busy = run_tool({"run", "-n", dir.path(), "--", "true"});
  CHECK(busy.err.find(" for ") == std::string::npos);
}

TEST_CASE("in another time namespace the record is valid, and release ends the hold") {
  const TempDir dir;
  const Words elsewhere = {"unshare", "-T", "--boottime", "1000000", "--"};
  Words probe = elsewhere;
  probe.emplace_back("true");
  if (finish(probe).ended != exited(0)) return skip("no time namespace may be made here");
  Words words = grex_lock({"hold", "--detach", dir.path()});
  words.insert(words.begin(), elsewhere.begin(), elsewhere.end());
  const pid_t detached = std::stoi(finish(words).out.substr(std::string("pid ").size()));
  CHECK(pack_lock(dir)["record"] == "valid");
  CHECK(run_tool({"release", dir.path()}).ended == exited(0));
  reap(detached);

  Process hold(grex_lock({"hold", dir.path()}));
  hold.line();
  words = grex_lock({"status", "--json", dir.path()});
  words.insert(words.begin(), elsewhere.begin(), elsewhere.end());
  CHECK(json::parse(finish(words).out)["locks"][2]["record"] == "valid");
  words = grex_lock({"release", dir.path()});
  words.insert(words.begin(), elsewhere.begin(), elsewhere.end());
  CHECK(finish(words).ended == exited(0));
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("a file watcher sees no write of a command that writes nothing") {
  for (const char* const layout : {"both", "flat", "nested"}) {
    CAPTURE(layout);
    const TempDir dir;
    for (const char* const mode : {"-x", "-s"}) {
      REQUIRE(run_tool({"run", mode, "--layout", layout, dir.path(), "--", "true"}).ended == exited(0));
    }
    const Fd watch(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    for (const std::string& directory : {dir.path(), dir / ".grex"}) {
      if (exists(directory))
        REQUIRE(::inotify_add_watch(watch.get(), directory.c_str(),
                                    IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_ATTRIB) >= 0);
    }
    for (const Words& words : {Words{"probe", dir.path()}, Words{"wait", dir.path()}, Words{"status", dir.path()},
                               Words{"release", dir.path()}, Words{"run", "-s", dir.path(), "--", "true"},
                               Words{"run", "--no-record", dir.path(), "--", "true"}}) {
      Words all = grex_lock({"--layout", layout});
      all.insert(all.end(), words.begin(), words.end());
      finish(all);
      std::array<char, 4096> events{};
      CAPTURE(words.front());
      CHECK(::read(watch.get(), events.data(), events.size()) == -1);
    }
  }
}
