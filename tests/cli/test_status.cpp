#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

json status_of(const std::string& path, const Setup& setup = {}) {
  const Finished finished = run_tool({"status", "--json", path}, setup);
  REQUIRE(finished.ended == exited(0));
  return json::parse(finished.out);
}

json lock_at(const std::string& tier, const std::string& path, const Setup& setup = {}) {
  const json document = status_of(path, setup);
  for (const json& lock : document["locks"]) {
    if (lock["tier"] == tier) return lock;
  }
  return {};
}

json pack_lock(const TempDir& dir) { return lock_at("per-pack", dir.path()); }

// The state of the pack's lock if /proc/locks had this content. Empty if it can't be
// replaced here.
std::string state_by_list(const TempDir& dir, const std::string& list) {
  write_file(dir / "list", list);
  const Finished finished = finish({"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                                    "mount --bind list /proc/locks && \"$LOCK\" status --json ."},
                                   in(dir.path()));
  if (finished.ended != exited(0)) return {};
  const json document = json::parse(finished.out);
  for (const json& lock : document["locks"]) {
    if (lock["tier"] == "per-pack") return lock["state"];
  }
  return "not reported";
}

json holder_with(const json& lock, const char* key, const json& value) {
  for (const json& holder : lock["holders"]) {
    if (holder[key] == value) return holder;
  }
  return {};
}

}  // namespace

TEST_CASE("status --json has the documented keys and all five tiers in order") {
  const TempDir dir;
  const json document = status_of(dir.path());
  CHECK(document["verb"] == "status");
  CHECK(document["version"] == 2);
  CHECK(document["host"].is_string());
  CHECK(document["taken_at"].get<std::string>().size() == 24);
  CHECK(document["complete"] == true);
  CHECK_FALSE(document.contains("status"));
  const std::vector<std::string> tiers = {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"};
  REQUIRE(document["locks"].size() == tiers.size());
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const json& lock = document["locks"][i];
    CHECK(lock["tier"] == tiers[i]);
    CHECK(lock["target"] == dir.path());
    CHECK(lock["path"].is_string());
    CHECK(lock["state"] == "absent");
    CHECK(lock["reason"].is_null());
    CHECK(lock["mode"].is_null());
    CHECK(lock["evidence"] == "none");
    CHECK(lock["holders"].empty());
    CHECK(lock["waiters"].empty());
    CHECK(lock["record"] == "none");
    CHECK(lock.contains("slots") == (tiers[i] == "semaphore"));
  }
}

TEST_CASE("status changes nothing") {
  const FlatLayout one_file;
  const TempDir dir;
  // An empty file, a leftover record, or other content.
  const std::string record = run_tool({"run", dir.path(), "--", "cat", dir / ".grex-lock"}).out;
  CHECK(record.starts_with("{\"pid\":"));
  for (const std::string& content : {std::string(), record, std::string("content")}) {
    write_file(dir / ".grex-lock", content);
    for (const char* const layout : {"flat", "nested", "both"}) {
      CHECK(run_tool({"status", "--layout", layout, dir.path()}).ended == exited(0));
      CHECK(run_tool({"status", "--layout", layout, "-r", "-v", dir.path()}).ended == exited(0));
    }
    status_of(dir.path());
    CHECK(run_tool({"status", dir.path()}).ended == exited(0));
    CHECK(content_of(dir / ".grex-lock") == content);
  }
  CHECK_FALSE(exists(dir / ".grex"));
  CHECK_FALSE(exists(dir / ".grex.sync.lock"));
  CHECK(finish({"ls", "-A", dir.path(), dir / ".."}).out ==
        dir.path() + ":\n.grex-lock\n\n" + (dir / "..") + ":\ndir\n");
}

TEST_CASE("a lock is free according to the kernel") {
  const TempDir dir;
  write_file(dir / ".grex-lock", "");
  CHECK(pack_lock(dir)["state"] == "free");
  // Other tests' locks may make /proc/locks too long for one read; then status tries the
  // lock.
  until([&dir] { return pack_lock(dir)["evidence"] == "kernel"; });
}

TEST_CASE("a holder is shown in full, and so is the command that has the lock open") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo $$; read line"}));
  const pid_t command = std::stoi(tool.line());
  const json lock = pack_lock(dir);
  CHECK(lock["state"] == "held");
  CHECK(lock["mode"] == "exclusive");
  CHECK(lock["evidence"] == "kernel");
  CHECK(lock["record"] == "valid");
  REQUIRE(lock["holders"].size() == 2);
  const json& acquirer = lock["holders"][0];
  CHECK(acquirer["pid"] == tool.pid());
  CHECK(acquirer["role"] == "acquirer");
  CHECK(acquirer["alive"] == true);
  CHECK(acquirer["command"] == json::array({"sh", "-c", "echo $$; read line"}));
  CHECK(acquirer["note"] == "nightly");
  CHECK(acquirer["verb"] == "run");
  CHECK(acquirer["mode"] == "exclusive");
  CHECK(acquirer["since"].get<std::string>().size() == 24);
  CHECK(acquirer["held_ms"].get<std::int64_t>() >= 0);
  CHECK(acquirer["uid"].is_number());
  CHECK(acquirer["cwd"].is_string());
  CHECK(acquirer["host"].is_string());
  const json& fd_holder = lock["holders"][1];
  CHECK(fd_holder["pid"] == command);
  CHECK(fd_holder["role"] == "fd-holder");
  CHECK(fd_holder["since"].is_null());
}

TEST_CASE("--json has all keys of a holder, null if unknown") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  const json holder = pack_lock(dir)["holders"][0];
  for (const char* const key :
       {"pid", "role", "alive", "uid", "user", "command", "cwd", "since", "held_ms", "host", "note", "verb", "mode"}) {
    CAPTURE(key);
    CHECK(holder.contains(key));
  }
  CHECK(holder["since"].is_null());
  CHECK(holder["note"].is_null());
}

TEST_CASE("a foreign holder is named by PID and command: grex") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  const json status = pack_lock(dir);
  CHECK(status["state"] == "held");
  CHECK(status["record"] == "none");
  REQUIRE(status["holders"].size() == 1);
  CHECK(status["holders"][0]["pid"] == ::getpid());
  CHECK(status["holders"][0]["role"] == "acquirer");
  CHECK(status["holders"][0]["alive"] == true);
  CHECK(status["holders"][0]["command"][0].get<std::string>().find("test_cli") != std::string::npos);
}

TEST_CASE("a foreign holder is named by PID and command: flock and its command") {
  const TempDir dir;
  Process holder({"flock", dir / ".grex-lock", "sh", "-c", "echo $$; read line"});
  const pid_t command = std::stoi(holder.line());
  const json lock = pack_lock(dir);
  CHECK(holder_with(lock, "pid", holder.pid())["role"] == "acquirer");
  CHECK(holder_with(lock, "pid", holder.pid())["command"][0] == "flock");
  CHECK(holder_with(lock, "pid", command)["role"] == "fd-holder");
}

TEST_CASE("a foreign holder is named by PID and command: Python, sharing") {
  const TempDir dir;
  Process holder({"python3", "-c",
                  "import fcntl\nf = open('" + (dir / ".grex-lock") +
                      "', 'w')\nfcntl.flock(f, fcntl.LOCK_SH)\n"
                      "print('ready', flush=True)\ninput()"});
  CHECK(holder.line() == "ready");
  const json lock = pack_lock(dir);
  CHECK(lock["state"] == "held");
  CHECK(lock["mode"] == "shared");
  CHECK(lock["holders"][0]["pid"] == holder.pid());
  CHECK(lock["holders"][0]["command"][0].get<std::string>().find("python3") != std::string::npos);
  CHECK(lock["holders"][0]["mode"] == "shared");
}

TEST_CASE("a dead acquirer is shown as dead, with the shell that has the lock") {
  const TempDir dir;
  // flock -n 9 locks the shell's descriptor, and ends.
  Process shell({"bash", "-c", "exec 9>>" + (dir / ".grex-lock") + "; flock -n 9; echo ready; read line"});
  CHECK(shell.line() == "ready");
  const json lock = pack_lock(dir);
  CHECK(lock["state"] == "held");
  REQUIRE(lock["holders"].size() == 2);
  CHECK(lock["holders"][0]["role"] == "acquirer");
  CHECK(lock["holders"][0]["alive"] == false);
  CHECK(lock["holders"][0]["command"].is_null());
  CHECK(lock["holders"][1]["pid"] == shell.pid());
  CHECK(lock["holders"][1]["role"] == "fd-holder");
  CHECK(lock["holders"][1]["command"][0] == "bash");
  const Finished busy = run_tool({"probe", dir.path()});
  CHECK(busy.err.find("held by pid " + std::to_string(shell.pid())) != std::string::npos);
}

TEST_CASE("a process that only has the file open holds nothing") {
  const TempDir dir;
  Process reader({"sh", "-c", "exec 7<>" + (dir / ".grex-lock") + "; echo ready; read line"});
  CHECK(reader.line() == "ready");
  CHECK(pack_lock(dir)["state"] == "free");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(holder_with(pack_lock(dir), "pid", reader.pid()).is_null());
}

// SECURITY.md: reuse the id of a process that has ended | process id and start time, or the descriptor itself, must
// agree
TEST_CASE("a PID that another process has now is not taken for the acquirer") {
  const FlatLayout one_file;
  const TempDir dir;
  // The acquirer closes its copy and lives on without the lock: to an observer, it is the
  // same as a process that got the PID later.
  Process other({"python3", "-c",
                 "import fcntl, os, subprocess\n"
                 "f = os.open('" +
                     (dir / ".grex-lock") +
                     "', os.O_RDWR | os.O_CREAT)\n"
                     "os.set_inheritable(f, True)\n"
                     "fcntl.flock(f, fcntl.LOCK_EX)\n"
                     "child = subprocess.Popen(['cat'], close_fds=False, stdin=subprocess.PIPE)\n"
                     "os.close(f)\n"
                     "print(child.pid, flush=True)\n"
                     "input()\n"});
  const pid_t inheritor = std::stoi(other.line());
  const json lock = pack_lock(dir);
  const json acquirer = holder_with(lock, "role", "acquirer");
  CHECK(acquirer["pid"] == other.pid());
  CHECK(acquirer["alive"] == false);
  CHECK(acquirer["command"].is_null());
  CHECK(holder_with(lock, "role", "fd-holder")["pid"] == inheritor);

  // A record is no reason to name it.
  json forged = json::parse(run_tool({"run", dir.make("b"), "--", "cat", dir / "b/.grex-lock"}).out);
  forged["pid"] = other.pid();
  forged["note"] = "forged";
  write_file(dir / ".grex-lock", forged.dump() + "\n");
  const json again = holder_with(pack_lock(dir), "role", "acquirer");
  CHECK(again["alive"] == false);
  CHECK(again["command"].is_null());
  CHECK(again["note"].is_null());
  CHECK(run_tool({"probe", dir.path()}).err.find("forged") == std::string::npos);
  // One whose number matches, but that began later, is another process's.
  forged["taken"] = 1;
  write_file(dir / ".grex-lock", forged.dump() + "\n");
  CHECK(pack_lock(dir)["record"] == "stale");
}

TEST_CASE("a killed grex-lock's record is valid as long as its command holds the lock") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo $$; read line"}));
  const pid_t command = std::stoi(tool.line());
  tool.signal(SIGKILL);
  tool.wait();
  const json lock = pack_lock(dir);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["pid"] == tool.pid());
  CHECK(lock["holders"][0]["alive"] == false);
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][1]["pid"] == command);
  ::kill(command, SIGKILL);
  until([&dir] { return !is_locked(dir / ".grex-lock"); });
  const json after = pack_lock(dir);
  CHECK(after["state"] == "free");
  CHECK(after["record"] == "stale");
}

// SECURITY.md: claim to hold a lock that is free, or that another process holds | shown as stale
// SECURITY.md: reuse the id of a process that has ended | process id and start time, or the descriptor itself, must
// agree
TEST_CASE("a record of a lock that is gone is stale, even if another process holds it now") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--close", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  const std::string record = content_of(dir / ".grex/.grex-lock");
  tool.signal(SIGKILL);
  tool.wait();
  CHECK(pack_lock(dir)["state"] == "free");
  CHECK(pack_lock(dir)["record"] == "stale");
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(content_of(dir / ".grex/.grex-lock") == record);
  json status = pack_lock(dir);
  CHECK(status["record"] == "stale");
  CHECK(status["holders"][0]["pid"] == ::getpid());
  CHECK(status["holders"][0]["note"].is_null());

  // The same PID, but another process: it started at another time.
  json forged = json::parse(record);
  const std::uint64_t start_time = start_time_of(::getpid());
  REQUIRE(start_time > 0);
  const json taken = forged["taken"];
  forged["pid"] = ::getpid();
  forged["taken"] = 1;
  write_file(dir / ".grex-lock", forged.dump() + "\n");
  CHECK(pack_lock(dir)["record"] == "stale");
  forged.erase("taken");  // as grex-lock 0.1 wrote it
  forged["start_time"] = start_time + 1;
  write_file(dir / ".grex-lock", forged.dump() + "\n");
  CHECK(pack_lock(dir)["record"] == "stale");
  forged["start_time"] = start_time;
  forged["boot_id"] = "";
  write_file(dir / ".grex-lock", forged.dump() + "\n");
  CHECK(pack_lock(dir)["record"] == "valid");
  // The same process by its number and times, but from another boot.
  forged["taken"] = taken;
  forged["boot_id"] = "another";
  write_file(dir / ".grex-lock", forged.dump() + "\n");
  CHECK(pack_lock(dir)["record"] == "stale");
}

// SECURITY.md: write any other bytes, of any length | 4 KiB are read, and what is not a record is ignored
TEST_CASE("any bytes in a record do no harm") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  for (const std::string& bytes : {std::string("\0\xff\x1b[2J", 6), std::string("4242\n"), std::string("{\"pid\":"),
                                   std::string(1'000'000, '['), std::string("{}")}) {
    write_file(dir / ".grex-lock", bytes);
    const json status = pack_lock(dir);
    CHECK(status["state"] == "held");
    CHECK(status["record"] == "none");
    REQUIRE(status["holders"].size() == 1);
    CHECK(status["holders"][0]["pid"] == ::getpid());
    CHECK(status["holders"][0]["note"].is_null());
    CHECK(run_tool({"status", dir.path()}).out.find('\x1b') == std::string::npos);
  }
}

// SECURITY.md: write any other bytes, of any length | 4 KiB are read, and what is not a record is ignored
TEST_CASE("only 4 KiB of a record are read") {
  const FlatLayout one_file;
  const TempDir dir;
  Process tool(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo; read line"}));
  tool.line();
  const std::string record = content_of(dir / ".grex-lock");
  const std::string blanks(4096 - record.size(), ' ');  // which JSON may begin with, too
  write_file(dir / ".grex-lock", blanks + record);
  CHECK(pack_lock(dir)["record"] == "valid");
  write_file(dir / ".grex-lock", blanks + " " + record);
  CHECK(pack_lock(dir)["record"] == "none");
  CHECK(pack_lock(dir)["holders"][0]["note"].is_null());
}

// SECURITY.md: put escapes for the terminal into a note, a command or a path | shown as `\x1b` and the like, also
// characters that change the direction of a line
//
// SECURITY.md: put the same into JSON, or quotes into the graph | valid JSON; one label
TEST_CASE("a note or command cannot control the terminal, and bytes that are not UTF-8 do not break the JSON") {
  const TempDir dir;
  const std::string pack = dir.make("p\x1b[2J\n\u202e\xff");
  Process tool(
      grex_lock({"run", "--note", "a\x1b[2Jb\nc\xff", pack, "--", "sh", "-c", "echo; read line", "\x1b]0;x\x07"}));
  tool.line();
  const std::string text = run_tool({"status", pack}).out;
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find("\u202e") == std::string::npos);
  CHECK(text.find("a\\x1b[2Jb\\nc") != std::string::npos);
  CHECK(text.find("$'\\033]0;x\\007'") != std::string::npos);
  CHECK(text.find("/p\\x1b[2J\\n\\xe2\\x80\\xae\\xff/.grex-lock\n") != std::string::npos);
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  const json lock = lock_at("per-pack", pack);
  CHECK(lock["path"] == dir / "p\x1b[2J\n\u202e\xef\xbf\xbd/.grex-lock");
  CHECK(lock["holders"][0]["note"] == "a\x1b[2Jb\nc\xef\xbf\xbd");
  CHECK(lock["holders"][0]["command"][3] == "\x1b]0;x\x07");
}

TEST_CASE("waiters are in the kernel's order") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  // The one that comes later has the lower number.
  Process second({"sh", "-c", "read line; exec \"$0\" run -s \"$1\" -- true", grex_lock(), dir.path()});
  Process first(grex_lock({"run", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex-lock") == 1; });
  second.write("\n");
  until([&dir] { return waiters_on(dir / ".grex-lock") == 2; });
  const json status = pack_lock(dir);
  REQUIRE(status["waiters"].size() == 2);
  CHECK(status["waiters"][0]["pid"] == first.pid());
  CHECK(status["waiters"][0]["role"] == "waiter");
  CHECK(status["waiters"][0]["mode"] == "exclusive");
  CHECK(status["waiters"][0]["command"][1] == "run");
  CHECK(status["waiters"][1]["pid"] == second.pid());
  CHECK(status["waiters"][1]["mode"] == "shared");
}

TEST_CASE("slots are shown as one lock with the number used") {
  const TempDir dir;
  const Setup four = {.environment = {{"GREX_PARALLEL", "4"}}};
  Process first(grex_lock({"run", "-t", "semaphore", dir.path(), "--", "sh", "-c", "echo; read line"}), four);
  first.line();
  Process second(grex_lock({"run", "-t", "semaphore", dir.path(), "--", "sh", "-c", "echo; read line"}), four);
  second.line();
  const json lock = lock_at("semaphore", dir.path(), four);
  CHECK(lock["state"] == "held");
  CHECK(lock["slots"] == 4);
  CHECK(lock["used"] == 2);
  CHECK(holder_with(lock, "pid", first.pid())["slot"] == 0);
  CHECK(holder_with(lock, "pid", second.pid())["slot"] == 1);
  CHECK(run_tool({"status", dir.path()}, four).out.starts_with("semaphore  held 2/4  "));
  first.close_input();
  second.close_input();
  first.wait();
  second.wait();
  CHECK(lock_at("semaphore", dir.path(), four)["state"] == "free");
}

TEST_CASE("a held lock is never shown as free, even if /proc/locks changes while it is read") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  // A few or many locks come and go among others that stay: the list ends near the end of
  // a page, or has several pages.
  for (const auto& [staying, coming] : {std::pair(0, 400), std::pair(25, 3), std::pair(60, 3), std::pair(68, 3)}) {
    const Process churn = churning_locks(dir.path(), staying, coming);
    for (int i = 0; i < tries(50); ++i) REQUIRE(pack_lock(dir)["state"] == "held");
  }
}

TEST_CASE("a held lock that /proc/locks does not list is shown as held if the list is longer than half a page") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-lock");
  const std::string other = "1: FLOCK  ADVISORY  WRITE 1 fe:00:1234 0 EOF\n";
  // The kernel gives a short list in one piece, so it is believed.
  const std::string believed = state_by_list(dir, other);
  if (believed.empty()) return skip("/proc/locks cannot be replaced here");
  CHECK(believed == "free");
  std::string list;
  while (list.size() <= 2048) list += other;
  CHECK(state_by_list(dir, list) == "held");
}

TEST_CASE("a directory as a lock is unknown, never free") {
  const TempDir dir;
  dir.make(".grex-lock");
  CHECK(pack_lock(dir)["state"] == "unknown");
  CHECK(pack_lock(dir)["reason"] == "unsafe");
  CHECK(pack_lock(dir)["evidence"] == "none");
}

TEST_CASE("a backend lock is shown even if its destination is gone, and other missing paths are an error") {
  const TempDir dir;
  const Fd lock = lock_as_grex(dir / ".grex-backend-new.lock");
  const json document = status_of(dir / "new");
  REQUIRE(document["locks"].size() == 1);
  CHECK(document["locks"][0]["tier"] == "backend");
  CHECK(document["locks"][0]["state"] == "held");
  CHECK(run_tool({"status", dir / "other"}).ended == exited(66));
}

TEST_CASE("several paths are shown in their order, and none means the enclosing pack") {
  const TempDir dir;
  const std::string a = dir.make("a");
  dir.make("b/.git");
  const json both = json::parse(run_tool({"status", "--json", a, dir / "b"}).out);
  REQUIRE(both["locks"].size() == 10);
  CHECK(both["locks"][0]["target"] == a);
  CHECK(both["locks"][5]["target"] == dir / "b");
  const json here = json::parse(run_tool({"status", "--json"}, {.directory = dir.make("b/src/deep")}).out);
  CHECK(here["locks"][0]["target"] == dir / "b");
}

TEST_CASE("a path in brackets is one path") {
  const TempDir dir;
  dir.make("[a,b]");
  dir.make("a");
  for (const auto& words : {grex_lock({"status", "--json", "[a,b]"}), grex_lock({"status", "--json", "--", "[a,b]"})}) {
    const json document = json::parse(finish(words, {.directory = dir.path()}).out);
    CHECK(document["locks"][0]["target"] == dir / "[a,b]");
  }
  for (const auto& words : {grex_lock({"run", "[a,b]"}), grex_lock({"run", "-n", "[a,b]"})}) {
    const auto with_command = [&words](Words command) {
      command.insert(command.begin(), words.begin(), words.end());
      return command;
    };
    CHECK(finish(with_command({"--", "test", "-e", "[a,b]/.grex-lock"}), {.directory = dir.path()}).ended == exited(0));
    const auto missing = finish(with_command({"[none]", "--", "true"}), {.directory = dir.path()});
    CHECK(missing.err.starts_with("grex-lock: not found: [none]: "));
    const auto forgotten = finish(with_command({"[none]"}), {.directory = dir.path()});
    CHECK(forgotten.err.starts_with("grex-lock: not found: [none]: "));
    CHECK(forgotten.err.find("'[a,b]' -- CMD\n") != std::string::npos);
  }
}

TEST_CASE("slots in a directory that cannot be listed are unknown rather than absent, and held if that is known") {
  const TempDir dir;
  Setup nobody = as_nobody();
  nobody.environment = {{"GREX_PARALLEL", "2"}};
  for (const std::string& path : {dir.path(), dir.make(".grex")}) REQUIRE(::chmod(path.c_str(), 0711) == 0);
  CHECK(lock_at("semaphore", dir.path(), nobody)["state"] == "unknown");
  CHECK(status_of(dir.path(), nobody)["complete"] == false);
  const Fd lock = lock_as_grex(dir / ".grex/.grex.slot-1.lock");
  const json held = lock_at("semaphore", dir.path(), nobody);
  CHECK(held["state"] == "held");
  CHECK(held["used"] == 1);
}

TEST_CASE("the root directory has every tier but backend") {
  const json document = status_of("/");
  CHECK(document["locks"].size() == 4);
  CHECK(document["locks"][3]["tier"] == "manifest");
}

TEST_CASE("status ends with an error, not a signal, if its reader is gone") {
  const TempDir dir;
  const Finished finished =
      finish({"bash", "-c", grex_lock() + " status " + dir.path() + " | true; echo ${PIPESTATUS[0]}"});
  const bool is_expected = finished.out == "74\n" || finished.out == "0\n";  // 0 if all was written before
  CHECK(is_expected);
}

TEST_CASE("a lock whose descriptor is on its way through a socket is held by no process") {
  if (::geteuid() != 0 || std::filesystem::read_symlink("/proc/self/ns/pid") != "pid:[4026531836]") {
    return skip("only root in the initial PID namespace can know that no process has a file open");
  }
  const FlatLayout one_file;
  const TempDir dir;
  Process process({"python3", "-c",
                   "import fcntl, os, socket\n"
                   "f = os.open('.grex-lock', os.O_RDWR | os.O_CREAT)\n"
                   "fcntl.flock(f, fcntl.LOCK_EX)\n"
                   "a, b = socket.socketpair()\n"
                   "socket.send_fds(a, [b'x'], [f])\n"
                   "os.close(f)\n"
                   "print(flush=True)\n"
                   "input()\n"
                   "f = socket.recv_fds(b, 1, 1)\n"
                   "print(flush=True)\n"
                   "input()\n"},
                  in(dir.path()));
  process.line();
  const std::string alone = "a descriptor that no process has open";
  const json lock = pack_lock(dir);
  CHECK(lock["state"] == "held");
  REQUIRE(lock["holders"].size() == 1);
  CHECK(lock["holders"][0]["pid"] == process.pid());
  CHECK(lock["holders"][0]["alive"] == false);
  // Processes that come and go all the time keep it from being known for a moment.
  const auto shows = [&](std::initializer_list<std::string> words, const std::string& text) {
    const Finished finished = run_tool(words);
    const std::string shown = finished.out + finished.err;
    return shown.find(text) != std::string::npos && shown.find("gone") == std::string::npos;
  };
  until([&] { return shows({"status", dir.path()}, "held by    " + alone); });
  until([&] { return shows({"run", "-n", dir.path(), "--", "true"}, ".grex-lock: held by " + alone); });
  until([&] { return shows({"release", dir.path()}, ".grex-lock: held by " + alone); });
  const std::string all = run_tool({"status", "--all"}).out;
  CHECK(all.find("not shown: ") != std::string::npos);
  CHECK(all.find(" that no process has open\n") != std::string::npos);
  CHECK(all.find("root sees") == std::string::npos);
  CHECK(json::parse(run_tool({"status", "--json", "--all"}).out)["complete"] == false);

  process.write("\n");
  process.line();
  CHECK(pack_lock(dir)["holders"][0]["alive"] == true);
  CHECK(run_tool({"status", dir.path()}).out.find(alone) == std::string::npos);
}

TEST_CASE("a FIFO in place of a lock file is unsafe, and nobody is said to hold it") {
  const FlatLayout one_file;
  const TempDir dir;
  REQUIRE(::mkfifo((dir / ".grex-lock").c_str(), 0600) == 0);
  // It can be locked by another program.
  Process other({"bash", "-c", "exec 9<>.grex-lock; flock 9; echo; read -r line"}, in(dir.path()));
  other.line();
  const json lock = pack_lock(dir);
  CHECK(lock["state"] == "unknown");
  CHECK(lock["reason"] == "unsafe");
  CHECK(lock["holders"].empty());
  CHECK(run_tool({"status", dir.path()})
            .out.starts_with("per-pack  unknown  " + dir / ".grex-lock" + "\n  not a regular file\n"));
  CHECK(run_tool({"status", "--graph", dir.path()}).out.find(".grex-lock") == std::string::npos);
  const std::string unsafe = "grex-lock: unsafe lock file: " + dir / ".grex-lock" + ": not a regular file\n";
  for (const char* const verb : {"probe", "wait", "release", "hold"}) {
    CAPTURE(verb);
    const Finished refused = run_tool({verb, dir.path()});
    CHECK(refused.ended == exited(77));
    CHECK(refused.err.starts_with(unsafe));
  }
}

TEST_CASE("a file in place of .grex is not a directory") {
  const TempDir dir;
  write_file(dir / ".grex", "");
  const Finished status = run_tool({"status", dir.path()});
  CHECK(status.out.find("\n  " + dir / ".grex" + ": not a directory\n") != std::string::npos);
  CHECK(run_tool({"probe", dir.path()})
            .err.starts_with("grex-lock: unsafe lock file: " + dir / ".grex" + ": not a directory\n"));
}

TEST_CASE("a killed grex-lock that is still a zombie is dead, and its living command is named") {
  const TempDir dir;
  Process tool(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo $$; read line"}));
  const std::string command = tool.line();
  tool.signal(SIGKILL);
  until([&tool] { return state_of(tool.pid()) == 'Z'; });
  const json lock = pack_lock(dir);
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["pid"] == tool.pid());
  CHECK(lock["holders"][0]["alive"] == false);
  CHECK(run_tool({"probe", dir.path()}).err.find("held by pid " + command + " ") != std::string::npos);
}
