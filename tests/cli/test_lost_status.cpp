// How `status` shows locks of files that were removed, replaced or moved away. The holders here
// restore nothing: other programs, `run --no-fork`, and a `hold` that is stopped.

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

json status_of(std::initializer_list<std::string> options, const Setup& setup = {}) {
  Words words = grex_lock({"status", "--json"});
  words.insert(words.end(), options);
  const Finished finished = finish(words, setup);
  REQUIRE(finished.ended == exited(0));
  return json::parse(finished.out);
}

json lock_in(const json& document, const std::string& tier, const std::string& target) {
  for (const json& lock : document["locks"]) {
    if (lock["tier"] == tier && lock["target"] == target) return lock;
  }
  return {{"state", "not reported"}};
}

json pack_lock(const std::string& pack, const Setup& setup = {}) {
  return lock_in(status_of({pack}, setup), "per-pack", pack);
}

json pack_lock_in_full_search(const std::string& pack) { return lock_in(status_of({"-v", pack}), "per-pack", pack); }

// With many locks on the machine, one read of the kernel's list may miss one.
json lost_pack_lock(const std::string& pack) {
  json lock;
  until([&] { return (lock = pack_lock(pack))["state"] == "lost"; });
  return lock;
}

std::vector<pid_t> holders_of(const json& lock) {
  std::vector<pid_t> pids;
  for (const json& holder : lock["holders"]) pids.push_back(holder["pid"].get<pid_t>());
  return pids;
}

bool is_held_by(const json& lock, pid_t pid) {
  const auto pids = holders_of(lock);
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

// Has locked the file of layout nested, and its process is the acquirer.
Process holder_at(const std::string& file, const char* program) {
  const std::string python =
      "import fcntl, sys\n"
      "f = open(sys.argv[1], 'a+')\n"
      "fcntl.flock(f, fcntl.LOCK_EX)\n"
      "print('ready', flush=True)\n"
      "input()\n";
  std::filesystem::create_directories(std::filesystem::path(file).parent_path());
  Words words = {"python3", "-c", python, file};
  if (program == std::string("flock")) words = {"flock", "-F", file, "sh", "-c", "echo ready; read line"};
  Process holder(words);
  CHECK(holder.line() == "ready");
  return holder;
}

Process run_in_place(const std::string& pack, std::initializer_list<std::string> options = {}) {
  Words words = grex_lock({"run", "-F"});
  words.insert(words.end(), options);
  for (const std::string& word : {pack, std::string("--"), std::string("sh"), std::string("-c")}) words.push_back(word);
  words.emplace_back("echo ready; read line");
  Process run(words);
  CHECK(run.line() == "ready");
  return run;
}

// Can't restore its lock.
Process stopped_hold(const std::string& pack) {
  Process hold(grex_lock({"hold", "--note", "nightly", pack}));
  hold.line();
  hold.signal(SIGSTOP);
  until([&hold] { return state_of(hold.pid()) == 'T'; });
  return hold;
}

void remove(const std::string& path) { REQUIRE(::unlink(path.c_str()) == 0); }

}  // namespace

TEST_CASE("a lock is lost if its file is removed, whatever program holds it") {
  for (const char* const program : {"flock", "python"}) {
    CAPTURE(program);
    const TempDir dir;
    const std::string file = dir / ".grex/.grex-lock";
    const Process holder = holder_at(file, program);
    CHECK(pack_lock(dir.path())["state"] == "held");
    remove(file);
    const json lock = lost_pack_lock(dir.path());
    CHECK(lock["path"] == file);
    CHECK(lock["mode"] == "exclusive");
    CHECK(lock["evidence"] == "kernel");
    CHECK(holders_of(lock) == std::vector<pid_t>{holder.pid()});
    CHECK(lock["holders"][0]["role"] == "acquirer");
    CHECK(lock["holders"][0]["alive"] == true);
    CHECK(lock["holders"][0]["lost"] == true);
    CHECK(lock["files"][0] == json({{"path", file}, {"layout", "nested"}, {"state", "lost"}}));
  }
}

TEST_CASE("a lock that grex or grex-lock holds is lost with its file, and one file is enough") {
  const TempDir dir;
  const std::string grexs = dir.make("grexs");
  const Fd lock = lock_as_grex(grexs + "/.grex-lock");
  remove(grexs + "/.grex-lock");
  CHECK(holders_of(lost_pack_lock(grexs)) == std::vector<pid_t>{::getpid()});

  const Process run = run_in_place(dir.path());
  remove(dir / ".grex-lock");
  const json one = lost_pack_lock(dir.path());
  CHECK(one["path"] == dir / ".grex-lock");
  CHECK(holders_of(one) == std::vector<pid_t>{run.pid()});
  json states;
  for (const json& file : one["files"]) states[file["layout"]].push_back(file["state"]);
  CHECK(states == json({{"flat", {"lost", "absent"}}, {"nested", {"held"}}}));
  remove(dir / ".grex/.grex-lock");
  const json both = lost_pack_lock(dir.path());
  CHECK(std::count_if(both["files"].begin(), both["files"].end(),
                      [](const json& file) { return file["state"] == "lost"; }) == 2);
}

TEST_CASE("the record in a removed file still describes its holder") {
  const TempDir dir;
  const Process hold = stopped_hold(dir.path());
  remove(dir / ".grex-lock");
  remove(dir / ".grex/.grex-lock");
  const json lock = lost_pack_lock(dir.path());
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["pid"] == hold.pid());
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["verb"] == "hold");
  CHECK(lock["holders"][0]["held_ms"].is_number());
}

TEST_CASE("a lock is lost after git clean, and after its directory was replaced") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  REQUIRE(finish({"git", "init", "-q", pack}).ended == exited(0));
  const Process cleaned = run_in_place(pack);
  REQUIRE(finish({"git", "-C", pack, "clean", "-fdxq"}).ended == exited(0));
  CHECK_FALSE(exists(pack + "/.grex"));
  CHECK(holders_of(lost_pack_lock(pack)) == std::vector<pid_t>{cleaned.pid()});

  const std::string other = dir.make("other");
  const Process replaced = run_in_place(other);
  std::filesystem::remove_all(other);
  dir.make("other");
  CHECK(holders_of(lost_pack_lock(other)) == std::vector<pid_t>{replaced.pid()});
}

TEST_CASE("the holders of a removed file and of its successor are told apart") {
  const TempDir dir;
  const std::string file = dir / ".grex/.grex-lock";
  const Process old = holder_at(file, "python");
  remove(file);
  const Process now = holder_at(file, "flock");
  const json lock = lost_pack_lock(dir.path());
  REQUIRE(lock["holders"].size() == 2);
  CHECK(lock["holders"][0]["pid"] == old.pid());
  CHECK(lock["holders"][0]["lost"] == true);
  CHECK(lock["holders"][1]["pid"] == now.pid());
  CHECK_FALSE(lock["holders"][1].contains("lost"));

  const std::string text = run_tool({"status", "-v", dir.path()}).out;
  CAPTURE(text);
  CHECK(text.find("per-pack        lost    " + file + "\n") != std::string::npos);
  CHECK(text.find("  the locked file was removed or replaced: it excludes no other process\n") != std::string::npos);
  CHECK(text.find("  lost by  " + std::to_string(old.pid())) != std::string::npos);
  CHECK(text.find("  held by  " + std::to_string(now.pid())) != std::string::npos);
  CHECK(text.find("  held: " + file + "\n") != std::string::npos);
  CHECK(run_tool({"status", "--color", "always", dir.path()}).out.find("\x1b[1m\x1b[31mlost") != std::string::npos);
}

TEST_CASE("a lock that its holder has restored is held, and not lost") {
  const TempDir dir;
  const std::string file = dir / ".grex-lock";
  Process holder({"python3", "-c",
                  "import fcntl, os, sys\n"
                  "f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX)\n"
                  "os.unlink(sys.argv[1])\n"
                  "g = open(sys.argv[1], 'a+'); fcntl.flock(g, fcntl.LOCK_EX)\n"
                  "os.set_inheritable(f.fileno(), True)\n"
                  "pid = os.posix_spawnp('sh', ['sh', '-c', 'read line'], os.environ)\n"
                  "print(pid, flush=True)\n"
                  "input()\n",
                  file});
  const pid_t command = std::stoi(holder.line());
  for (const char* const option : {"--json", "-v"}) {
    const json lock = lock_in(status_of({option, dir.path()}), "per-pack", dir.path());
    CHECK(lock["state"] == "held");
    CHECK(holders_of(lock) == std::vector<pid_t>{holder.pid()});
  }
  // What inherited only the old file has lost the lock, as soon as its holder is gone.
  holder.signal(SIGKILL);
  CHECK(holder.wait() == killed_by(SIGKILL));
  const json lock = pack_lock_in_full_search(dir.path());
  CHECK(lock["state"] == "lost");
  CHECK(is_held_by(lock, command));
}

TEST_CASE("the lost lock of a killed holder is found by a full search only") {
  const TempDir dir;
  Process run(grex_lock({"run", dir.path(), "--", "sh", "-c", "echo $$; read line"}));
  const pid_t command = std::stoi(run.line());
  run.signal(SIGKILL);
  CHECK(run.wait() == killed_by(SIGKILL));
  remove(dir / ".grex-lock");
  remove(dir / ".grex/.grex-lock");
  CHECK(pack_lock(dir.path())["state"] == "absent");
  const json lock = pack_lock_in_full_search(dir.path());
  CHECK(lock["state"] == "lost");
  CHECK(is_held_by(lock, command));
}

TEST_CASE("a pack that was renamed keeps its locks") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const Process hold = stopped_hold(pack);
  std::filesystem::rename(pack, dir / "renamed");
  CHECK(pack_lock_in_full_search(dir / "renamed")["state"] == "held");
  CHECK(lock_in(status_of({"--all"}), "per-pack", pack)["state"] == "not reported");
  // As soon as its path names another directory, the lock there is lost.
  dir.make("pack");
  const json lock = pack_lock_in_full_search(pack);
  CHECK(lock["state"] == "lost");
  CHECK(holders_of(lock) == std::vector<pid_t>{hold.pid()});
  CHECK(pack_lock(dir / "renamed")["state"] == "held");
}

TEST_CASE("a lock file that was moved away is found by the record in it") {
  const TempDir dir;
  const Process hold = stopped_hold(dir.path());
  std::filesystem::rename(dir / ".grex/.grex-lock", dir / "elsewhere");
  const json lock = lost_pack_lock(dir.path());
  CHECK(lock["path"] == dir / ".grex/.grex-lock");
  CHECK(lock["holders"][0]["pid"] == hold.pid());
  CHECK(lock["holders"][0]["file"] == dir / "elsewhere");
  CHECK(run_tool({"status", "-v", dir.path()}).out.find("at " + dir / "elsewhere") != std::string::npos);
  // At the place of another lock, that is only looked at in a full search.
  std::filesystem::rename(dir / "elsewhere", dir / ".grex/.grex-lock");
  CHECK(pack_lock(dir.path())["state"] == "held");
  std::filesystem::rename(dir / ".grex", dir / ".grex.bak");
  CHECK(pack_lock_in_full_search(dir.path())["state"] == "lost");
}

TEST_CASE("a file whose name only looks as if it were removed is not lost") {
  const TempDir dir;
  const std::string name = dir / ".grex-lock (deleted)";
  const Process holder = holder_at(name, "python");
  CHECK(pack_lock(dir.path())["state"] == "absent");
  CHECK(pack_lock_in_full_search(dir.path())["state"] == "absent");
  remove(name);
  CHECK(pack_lock_in_full_search(dir.path())["state"] == "absent");
}

TEST_CASE("a lock is lost even if its removed file has another name") {
  const TempDir dir;
  const std::string file = dir / ".grex-lock";
  const Process holder = holder_at(file, "python");
  REQUIRE(::link(file.c_str(), (dir / "kept").c_str()) == 0);
  remove(file);
  CHECK(holders_of(lost_pack_lock(dir.path())) == std::vector<pid_t>{holder.pid()});
}

TEST_CASE("what has the same path in another mount namespace is not lost here, and a lost lock there is found") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const std::string other = dir.make("other");
  const auto in_mounts = [](const std::string& script) {
    return Words{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script};
  };
  if (finish(in_mounts("mount --bind " + other + " " + pack)).ended != exited(0))
    return skip("no mount namespaces here");
  // There, `other` has the path of the pack, and `pack` is at /mnt.
  const std::string lock_and_remove = " && exec flock -F $f sh -c 'rm $f; echo ready; read line'";
  Process stranger(
      in_mounts("mount --bind " + other + " " + pack + " && export f=" + pack + "/.grex-lock" + lock_and_remove));
  CHECK(stranger.line() == "ready");
  CHECK(pack_lock_in_full_search(pack)["state"] == "absent");
  CHECK(pack_lock_in_full_search(other)["state"] == "lost");
  stranger.close_input();
  stranger.wait();

  Process container(in_mounts("mount --bind " + pack + " /mnt && export f=/mnt/.grex-lock" + lock_and_remove));
  CHECK(container.line() == "ready");
  const json lock = lost_pack_lock(pack);
  CHECK(lock["path"] == pack + "/.grex-lock");
  CHECK(holders_of(lock) == std::vector<pid_t>{container.pid()});
}

TEST_CASE("every kind of report shows lost locks") {
  const TempDir dir;
  const std::string pack = dir.make("ws/pack");
  const std::string file = pack + "/.grex/.grex-lock";
  const Process holder = holder_at(file, "python");
  remove(file);
  const std::string pid = std::to_string(holder.pid());
  for (const Words& options :
       {Words{"--held", pack}, Words{"-r", dir.path()}, Words{"-r", "--held", dir / "ws"}, Words{"--all"}}) {
    CAPTURE(options.front());
    Words words = grex_lock({"status", "--json"});
    words.insert(words.end(), options.begin(), options.end());
    json lock;
    until([&] { return (lock = lock_in(json::parse(finish(words).out), "per-pack", pack))["state"] == "lost"; });
    CHECK(holders_of(lock) == std::vector<pid_t>{holder.pid()});
  }
  CHECK(lock_in(status_of({"-r", "-v", dir.make("ws2")}), "per-pack", pack)["state"] == "not reported");

  std::string dot;
  until([&] { return (dot = run_tool({"status", "--graph", pack}).out).find("lost") != std::string::npos; });
  CHECK(dot.find("[shape=box, label=\"per-pack, lost\\n" + file + "\"]") != std::string::npos);
  CHECK(dot.find("\"" + file + "\" -> \"" + pid + "\" [label=\"lost by\"];") != std::string::npos);

  Process watch(grex_lock({"status", "--watch=0.1", pack}));
  until([&] { return watch.line().find("per-pack  lost") != std::string::npos; });
  watch.signal(SIGKILL);
  watch.wait();
}

TEST_CASE("slots, shared locks and the locks of clones are lost, too") {
  const TempDir dir;
  const Process slot = run_in_place(dir.path(), {"-t", "semaphore", "--slots", "2"});
  remove(dir / ".grex/.grex.slot-0.lock");
  const json slots = lock_in(status_of({"-v", dir.path()}), "semaphore", dir.path());
  CHECK(slots["state"] == "lost");
  CHECK(slots["used"] == 0);
  CHECK(slots["holders"][0]["slot"] == 0);
  CHECK(run_tool({"status", "-v", dir.path()}).out.find("lost slot 0") != std::string::npos);

  const Process first = run_in_place(dir.path(), {"-s"});
  const Process second = run_in_place(dir.path(), {"-s"});
  remove(dir / ".grex-lock");
  const json shared = lost_pack_lock(dir.path());
  CHECK(shared["mode"] == "shared");
  CHECK(is_held_by(shared, first.pid()));
  CHECK(is_held_by(shared, second.pid()));

  const Process clone = run_in_place(dir / "clone", {"-t", "backend"});
  remove(dir / ".grex-backend-clone.lock");
  CHECK(run_tool({"status", dir / "clone"}).ended == exited(66));
  dir.make("clone");
  CHECK(lock_in(status_of({"-v", dir / "clone"}), "backend", dir / "clone")["state"] == "lost");
}

TEST_CASE("--layout chooses whose lost files are shown") {
  const TempDir dir;
  const Process run = run_in_place(dir.path());
  remove(dir / ".grex/.grex-lock");
  CHECK(lock_in(status_of({"-v", "--layout", "flat", dir.path()}), "per-pack", dir.path())["state"] == "held");
  CHECK(lock_in(status_of({"-v", "--layout", "nested", dir.path()}), "per-pack", dir.path())["state"] == "lost");
}

TEST_CASE("a lost lock ends with its holder, and another pack's is not reported") {
  const TempDir dir;
  const std::string file = dir / "a/.grex/.grex-lock";
  Process holder = holder_at(file, "python");
  remove(file);
  const std::string neighbour = dir.make("b");
  CHECK(pack_lock_in_full_search(neighbour)["state"] == "absent");
  lost_pack_lock(dir / "a");
  holder.write("\n");
  CHECK(holder.wait() == exited(0));
  CHECK(pack_lock_in_full_search(dir / "a")["state"] == "absent");
}
