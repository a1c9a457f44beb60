// Lock files that are removed, moved or replaced while they are locked.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

// A pack that has other files than locks.
struct Pack : TempDir {
  explicit Pack() { write_file(path + "/work", ""); }
  std::string path = make("pack");
  std::string flat = path + "/.grex-lock";
  std::string nested = path + "/.grex/.grex-lock";
};

// Starts `run` with a command that ends with its input, and waits until it runs.
Process start_run(Words words) {
  Words argv = {grex_lock(), "run"};
  argv.insert(argv.end(), words.begin(), words.end());
  for (const char* const word : {"--", "sh", "-c", "echo ready; read -r line; exit 5"}) argv.emplace_back(word);
  Process run(argv);
  REQUIRE(run.line() == "ready");
  return run;
}

// The same with its events on standard output.
Process start_with_events(const std::string& words) {
  Process run(bash("exec \"$LOCK\" run -q --json-status-fd 1 " + words + " -- sh -c 'exec >&2; echo ready; read -r l'"),
              in("/"));
  REQUIRE(run.error_line() == "ready");
  REQUIRE(json::parse(run.line())["event"] == "acquired");
  REQUIRE(json::parse(run.line())["event"] == "started");
  return run;
}

void end(Process& run, int code = 5) {
  run.close_input();
  CHECK(run.wait() == exited(code));
}

std::string restored_line(const std::string& paths) {
  return "grex-lock: warning: lock file was removed: " + paths +
         ": created and locked again; this lock ends with grex-lock";
}

bool is_busy(const std::string& pack) { return run_tool({"run", "-n", "-q", pack, "--", "true"}).ended == exited(75); }

// A file that replaces another one, locked by the test before it gets the name.
Fd replace_locked(const std::string& path) {
  Fd lock = lock_as_grex(path + ".new");
  fs::rename(path + ".new", path);
  return lock;
}

}  // namespace

TEST_CASE("a lock file that was removed is created and locked again, and a line says so") {
  struct Case {
    std::string layout;
    std::function<void(const Pack&)> remove;
    std::function<std::string(const Pack&)> paths;
  };
  const auto flat = [](const Pack& pack) { return pack.flat; };
  const auto nested = [](const Pack& pack) { return pack.nested; };
  const auto both = [](const Pack& pack) { return pack.flat + ", " + pack.nested; };
  const std::vector<Case> cases = {
      {"both", [](const Pack& pack) { fs::remove(pack.flat); }, flat},
      {"both", [](const Pack& pack) { fs::remove_all(pack.path + "/.grex"); }, nested},
      {"both", [](const Pack& pack) { fs::rename(pack.nested, pack / "elsewhere"); }, nested},
      {"flat", [](const Pack& pack) { fs::remove(pack.flat); }, flat},
      {"nested", [](const Pack& pack) { fs::remove(pack.nested); }, nested},
      {"both",
       [](const Pack& pack) {
         fs::remove(pack.flat);
         fs::rename(pack.path + "/.grex", pack / "elsewhere");
       },
       both},
  };
  for (const Case& lost : cases) {
    const Pack pack;
    CAPTURE(lost.layout);
    CAPTURE(lost.paths(pack));
    Process run = start_run({"--layout", lost.layout, pack.path});
    lost.remove(pack);
    CHECK(run.error_line() == restored_line(lost.paths(pack)));
    CHECK(is_busy(pack.path));
    end(run);
    CHECK(run.error_rest().empty());
    CHECK_FALSE(is_busy(pack.path));
  }
}

TEST_CASE("locks of every tier are restored") {
  for (const std::string tier : {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"}) {
    CAPTURE(tier);
    const Pack pack;
    fs::create_directory(pack.path + "/.grex");
    write_file(pack.path + "/.grex/pack.yaml", "");
    const std::string target = tier == "backend" ? pack.path + "/clone" : pack.path;
    const std::string slots = tier == "semaphore" ? "--slots=1" : "-x";
    Process run = start_run({"-t", tier, slots, target});
    for (const auto& entry : fs::recursive_directory_iterator(pack.path)) {
      if (entry.path().extension() == ".lock" || entry.path().filename() == ".grex-lock") fs::remove(entry.path());
    }
    CHECK(run.error_line().find(": created and locked again; ") != std::string::npos);
    CHECK(run_tool({"run", "-n", "-q", "-t", tier, slots, target, "--", "true"}).ended == exited(75));
    end(run);
  }
}

TEST_CASE("a command that ends within a second has one look, at its end") {
  const Pack pack;
  const Finished removed = run_tool({"run", pack.path, "--", "rm", pack.flat});
  CHECK(removed.ended == exited(0));
  CHECK(removed.err == restored_line(pack.flat) + "\n");
  CHECK_FALSE(is_locked(pack.flat));
  CHECK(has_released_record(pack.nested));
}

TEST_CASE("git clean in the pack, by the command itself, is reported") {
  const Pack pack;
  if (finish({"git", "-C", pack.path, "init", "-q"}).ended != exited(0)) return skip("there is no git");
  const Finished cleaned = run_tool({"run", pack.path, "--", "git", "-C", pack.path, "clean", "-qfdx"});
  CHECK(cleaned.ended == exited(0));
  CHECK(cleaned.err == restored_line(pack.flat + ", " + pack.nested) + "\n");
  CHECK(finish({"git", "-C", pack.path, "status", "--porcelain"}).out.empty());
}

TEST_CASE("a command that removes the whole pack loses its lock, and keeps its exit status") {
  const Pack pack;
  const Finished removed = run_tool({"run", pack.path, "--", "sh", "-c", "rm -rf " + pack.path + "; exit 3"});
  CHECK(removed.ended == exited(3));
  CHECK(removed.err == "grex-lock: lock lost: " + pack.flat + ", " + pack.nested +
                           ": the file was removed; not restored: its directory was removed, too\n");
  CHECK_FALSE(exists(pack.path));
}

TEST_CASE("the directory for lock files is not created in a directory that has nothing else") {
  const TempDir dir;
  write_file(dir / ".grex-lock.gate", "");  // another layout's
  Process run = start_run({"--layout", "nested", dir.path()});
  fs::remove_all(dir / ".grex");
  CHECK(run.error_line() == "grex-lock: lock lost: " + (dir / ".grex/.grex-lock") +
                                ": the file was removed; not restored: nothing else is left in its directory");
  CHECK_FALSE(exists(dir / ".grex"));
  end(run);
}

TEST_CASE("a restored file has the record of its holder, which is marked as released in the end") {
  const Pack pack;
  Process run = start_run({"--note", "nightly", pack.path});
  fs::remove(pack.nested);
  run.error_line();
  const json lock = json::parse(run_tool({"status", "--json", pack.path}).out)["locks"][2];
  CHECK(lock["state"] == "held");
  CHECK(lock["record"] == "valid");
  CHECK(lock["holders"][0]["note"] == "nightly");
  CHECK(lock["holders"][0]["pid"] == run.pid());
  end(run);
  CHECK(has_released_record(pack.nested));
}

TEST_CASE("no record is written into a restored file if none is wanted") {
  for (const std::string option : {"-s", "--no-record"}) {
    CAPTURE(option);
    const Pack pack;
    Process run = start_run({option, pack.path});
    fs::remove(pack.nested);
    run.error_line();
    CHECK(content_of(pack.nested).empty());
    end(run);
  }
}

TEST_CASE("a hold restores its lock files, also in the background") {
  for (const std::string option : {"--for=1h", "--detach"}) {
    CAPTURE(option);
    const Pack pack;
    Process hold(grex_lock({"hold", option, pack.path}));
    const pid_t holder = std::stoi(hold.line().substr(4));
    fs::remove_all(pack.path + "/.grex");
    fs::remove(pack.flat);
    until([&pack] { return exists(pack.flat) && exists(pack.nested); });
    CHECK(is_busy(pack.path));
    if (option == "--detach") {
      CHECK(hold.wait() == exited(0));
      reap(holder, SIGTERM);
    } else {
      CHECK(hold.error_line() == restored_line(pack.flat + ", " + pack.nested));
      hold.signal(SIGTERM);
      CHECK(hold.wait() == exited(0));
    }
    CHECK_FALSE(is_busy(pack.path));
  }
}

TEST_CASE("a waiter at the removed file starts over at the new one, where another waits") {
  const Pack pack;
  Process run = start_run({pack.path});
  Process early(grex_lock({"run", "-q", pack.path, "--", "true"}));
  until([&pack] { return waiters_on(pack.flat) == 1; });
  fs::remove(pack.flat);
  run.error_line();
  Process late(grex_lock({"run", "-q", pack.path, "--", "true"}));
  until([&pack] { return waiters_on(pack.flat) == 1; });
  end(run);
  CHECK(early.wait() == exited(0));
  CHECK(late.wait() == exited(0));
}

TEST_CASE("if another process was faster, the lock is lost, and the line names that process") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_run({pack.path});
  const Fd other = replace_locked(pack.flat);
  const std::string line = run.error_line();
  CHECK(line.starts_with("grex-lock: lock lost: " + pack.flat +
                         ": the file was replaced, and another process locked the new one: held by pid " +
                         std::to_string(::getpid()) + " "));
  end(run);
  CHECK(run.error_rest().empty());
}

TEST_CASE("a file that another process has made is locked, but the lock may have been lost to it") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_run({pack.path});
  replace_locked(pack.flat);
  CHECK(run.error_line() == "grex-lock: lock lost: " + pack.flat +
                                ": the file was replaced; the new one is locked now, but another process may have had "
                                "it");
  CHECK(is_busy(pack.path));
  end(run);
}

TEST_CASE("what is not a regular file in the place of a lock file is neither opened nor followed") {
  const FlatLayout layout;
  struct Case {
    std::function<void(const Pack&)> make;
    std::string why;
  };
  const std::vector<Case> cases = {
      {[](const Pack& pack) { fs::create_symlink(pack / "target", pack.flat); }, "a symbolic link to "},
      {[](const Pack& pack) { fs::create_directory(pack.flat); }, "not a regular file"},
      {[](const Pack& pack) { ::mkfifo(pack.flat.c_str(), 0600); }, "not a regular file"},
  };
  for (const Case& made : cases) {
    CAPTURE(made.why);
    const Pack pack;
    Process run = start_run({pack.path});
    fs::rename(pack.flat, pack / "old");
    made.make(pack);
    const std::string line = run.error_line();
    CHECK(line.starts_with("grex-lock: lock lost: " + pack.flat + ": the file was "));
    CHECK(line.find("; not restored: " + pack.flat + ": " + made.why) != std::string::npos);
    end(run);
    CHECK_FALSE(exists(pack / "target"));
  }
}

TEST_CASE("a symlink in the place of .grex is not followed") {
  const Pack pack;
  const std::string other = pack.make("other");
  Process run = start_run({pack.path});
  fs::remove_all(pack.path + "/.grex");
  fs::create_directory_symlink(other, pack.path + "/.grex");
  const std::string line = run.error_line();
  CHECK(line.starts_with("grex-lock: lock lost: " + pack.nested));
  CHECK(line.ends_with(pack.path + "/.grex: a symbolic link to " + other));
  end(run);
  CHECK(fs::is_empty(other));
}

TEST_CASE("processes that share a lock all share the restored file") {
  const Pack pack;
  Process first = start_run({"-s", pack.path});
  Process second = start_run({"-s", pack.path});
  fs::remove(pack.flat);
  fs::remove(pack.nested);
  // Each has created none, one or both of the files.
  for (Process* const run : {&first, &second}) {
    const std::string line = run->error_line();
    CAPTURE(line);
    CHECK(line.starts_with("grex-lock: warning: lock file was re"));
    CHECK(line.ends_with("locked again; this lock ends with grex-lock"));
  }
  end(first);
  CHECK(is_busy(pack.path));
  CHECK(run_tool({"run", "-n", "-s", pack.path, "--", "true"}).ended == exited(0));
  end(second);
  CHECK_FALSE(is_busy(pack.path));
}

TEST_CASE("a renamed directory keeps its lock until its path names another one") {
  const Pack pack;
  Process run = start_with_events(pack.path);
  fs::rename(pack.path, pack / "renamed");
  const json moved = json::parse(run.line());
  CHECK(moved["event"] == "moved");
  CHECK(moved["files"] == json({pack.flat, pack.nested}));
  CHECK(moved["locks"][0]["path"] == pack.flat);
  fs::create_directory(pack.path);
  const json lost = json::parse(run.line());
  CHECK(lost["event"] == "lost");
  CHECK(lost["was"] == "elsewhere");
  CHECK_FALSE(exists(pack.flat));
  end(run, 1);  // `read` at the end of its input
  CHECK(run.error_rest().empty());
}

TEST_CASE("a directory above that is renamed, and back again, changes nothing") {
  const TempDir dir;
  const std::string path = dir.make("above/pack");
  Process run = start_with_events(path);
  fs::rename(dir / "above", dir / "renamed");
  CHECK(json::parse(run.line())["event"] == "moved");
  fs::rename(dir / "renamed", dir / "above");
  CHECK(is_busy(path));
  run.close_input();
  CHECK(json::parse(run.line())["event"] == "released");
  run.wait();
}

TEST_CASE("a symlink to the renamed directory leads to the same lock") {
  const Pack pack;
  Process run = start_run({pack.path});
  fs::rename(pack.path, pack / "renamed");
  fs::create_directory_symlink("renamed", pack.path);
  CHECK(is_busy(pack.path));
  end(run);
  CHECK(run.error_rest().empty());
}

TEST_CASE("events report what was restored and lost, and to which process") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_with_events(pack.path);
  fs::remove(pack.flat);
  const json restored = json::parse(run.line());
  CHECK(restored["event"] == "restored");
  CHECK(restored["was"] == "removed");
  CHECK(restored["files"] == json({pack.flat}));
  const Fd other = replace_locked(pack.flat);
  const json lost = json::parse(run.line());
  CHECK(lost["event"] == "lost");
  CHECK(lost["was"] == "replaced");
  CHECK(lost["busy"]["holders"][0]["pid"] == ::getpid());
  run.close_input();
  CHECK(json::parse(run.line())["event"] == "released");
  run.wait();
}

TEST_CASE("a lock is restored ten times") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_with_events(pack.path);
  for (int i = 0; i < 10; ++i) {
    fs::remove(pack.flat);
    CHECK(json::parse(run.line())["event"] == "restored");
  }
  fs::remove(pack.flat);
  CHECK(json::parse(run.line())["event"] == "lost");
  CHECK_FALSE(exists(pack.flat));
  run.close_input();
  run.wait();
}

TEST_CASE("a lock that is restored again is named in one line") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_run({pack.path});
  for (int i = 0; i < 2; ++i) {
    fs::remove(pack.flat);
    until([&pack] { return exists(pack.flat); });
  }
  end(run);
  CHECK(run.error_rest() == restored_line(pack.flat) + "\n");
}

TEST_CASE("a file that is moved away and back is still the lock") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_with_events(pack.path);
  fs::rename(pack.flat, pack / "away");
  CHECK(json::parse(run.line())["event"] == "restored");
  fs::rename(pack / "away", pack.flat);
  CHECK(is_busy(pack.path));
  run.close_input();
  CHECK(json::parse(run.line())["event"] == "released");
  run.wait();
}

TEST_CASE("with --if-lost warn, nothing is created") {
  const FlatLayout layout;
  const Pack pack;
  Process run = start_run({"--if-lost", "warn", pack.path});
  fs::remove(pack.flat);
  CHECK(run.error_line() == "grex-lock: lock lost: " + pack.flat + ": the file was removed");
  CHECK_FALSE(exists(pack.flat));
  end(run);
  CHECK(run.error_rest().empty());
}

TEST_CASE("with --if-lost stop, the command and all that it started are ended, and the status is 79") {
  const FlatLayout layout;
  const Pack pack;
  // The first of them is an orphan in its own session.
  Process run(grex_lock({"run", "--if-lost", "stop", pack.path, "--", "sh", "-c",
                         "setsid sh -c 'sleep 1000 & echo $!'; sh -c 'echo $$; exec sleep 1000'; exit 1"}));
  const pid_t orphan = std::stoi(run.line());
  const pid_t child = std::stoi(run.line());
  fs::remove(pack.flat);
  CHECK(run.wait() == exited(79));
  CHECK_FALSE(process_exists(orphan));
  CHECK_FALSE(process_exists(child));
  CHECK(run.error_line() == "grex-lock: lock lost: " + pack.flat + ": the file was removed");
  CHECK(run.error_line().starts_with("grex-lock: CMD (pid "));
}

TEST_CASE("with --if-lost stop, a loss that the last look finds gives the status 79, too") {
  const FlatLayout layout;
  const Pack pack;
  const Finished ended = run_tool({"run", "--if-lost", "stop", pack.path, "--", "rm", pack.flat});
  CHECK(ended.ended == exited(79));
  CHECK(ended.err == "grex-lock: lock lost: " + pack.flat + ": the file was removed\n");
  const Finished as_json = run_tool({"--json", "run", "--if-lost", "stop", pack.path, "--", "rm", pack.flat});
  CHECK(json::parse(as_json.err)["error"]["kind"] == "lost");
  CHECK(json::parse(as_json.err)["exit_code"] == 79);
}

TEST_CASE("with --if-lost stop, a command that keeps its lock is as any other") {
  const Pack pack;
  const Finished ended = run_tool({"run", "--if-lost", "stop", pack.path, "--", "sh", "-c", "sh -c 'true &'; exit 4"});
  CHECK(ended.ended == exited(4));
  CHECK(ended.err.empty());
}

TEST_CASE("with --if-lost stop, a hold ends, and so does the process of --while-pid") {
  const FlatLayout layout;
  const Pack pack;
  const Process watched(until_input_closes());
  Process hold(grex_lock({"hold", "--if-lost", "stop", "--while-pid", std::to_string(watched.pid()), pack.path}));
  hold.line();
  fs::remove(pack.flat);
  CHECK(hold.wait() == exited(79));
  CHECK(hold.error_line() == "grex-lock: lock lost: " + pack.flat + ": the file was removed");
  until([&watched] { return state_of(watched.pid()) == 'Z'; });
}

TEST_CASE("the default of --if-lost comes from the environment") {
  const FlatLayout layout;
  const Pack pack;
  Setup setup;
  setup.environment["GREX_LOCK_IF_LOST"] = "stop";
  CHECK(run_tool({"run", pack.path, "--", "rm", pack.flat}, setup).ended == exited(79));
  CHECK(run_tool({"run", "-F", pack.path, "--", "true"}, setup).ended == exited(0));
  CHECK(run_tool({"run", "--linger", pack.path, "--", "rm", pack.flat}, setup).ended == exited(0));
  setup.environment["GREX_LOCK_IF_LOST"] = "explode";
  for (const std::string command : {"run", "hold"}) {
    const Finished refused = run_tool({command, pack.path, "--", "true"}, setup);
    CHECK(refused.ended == exited(64));
  }
}

TEST_CASE("--if-lost with an option after which no grex-lock stays is a usage error") {
  const Pack pack;
  for (const std::string option : {"-F", "--linger"}) {
    CHECK(run_tool({"run", "--if-lost", "warn", option, pack.path, "--", "true"}).ended == exited(64));
  }
  CHECK(run_tool({"run", "--if-lost", "explode", pack.path, "--", "true"}).ended == exited(64));
}

TEST_CASE("-q leaves only the events of a restored or lost lock") {
  const Pack pack;
  CHECK(run_tool({"run", "-q", pack.path, "--", "rm", pack.flat}).err.empty());
  CHECK(run_tool({"run", "-q", "--if-lost", "warn", pack.path, "--", "rm", pack.flat}).err.empty());
}

TEST_CASE("below a restored lock, asking for the same lock is re-entry") {
  for (const std::string inherits : {"", "--close"}) {
    CAPTURE(inherits);
    const Pack pack;
    Process run(
        bash("exec \"$LOCK\" run " + inherits + " " + pack.path + " -- sh -c 'echo ready; read -r l; \"$LOCK\" run " +
             pack.path + " -- echo no; echo $?; \"$LOCK\" run --reentrant " + pack.path + " -- echo ours; echo $?'"),
        in("/"));
    REQUIRE(run.line() == "ready");
    fs::remove(pack.flat);
    fs::remove(pack.nested);
    run.error_line();
    run.write("\n");
    CHECK(run.line() == "75");
    CHECK(run.line() == "ours");
    CHECK(run.line() == "0");
    CHECK(run.error_rest().find("already held by ancestor pid " + std::to_string(run.pid())) != std::string::npos);
    CHECK(run.wait() == exited(0));
  }
}

TEST_CASE("a command that waits for the restored file is a deadlock, too") {
  const Pack pack;
  Process run({grex_lock(), "run", pack.path, "--", "sh", "-c", "echo ready; read -r line; exec flock \"$1\" true",
               "sh", pack.flat});
  REQUIRE(run.line() == "ready");
  fs::remove(pack.flat);
  CHECK(run.error_line() == restored_line(pack.flat));
  run.write("\n");
  CHECK(run.error_line().starts_with("grex-lock: deadlock: " + pack.flat + ": "));
  run.signal(SIGTERM);
  CHECK(run.wait() == exited(128 + SIGTERM));
}

TEST_CASE("below a lock whose file was just removed, asking for the same lock is re-entry") {
  const Pack pack;
  const Finished run =
      finish(bash("\"$LOCK\" run -q " + pack.path + " -- sh -c 'rm " + pack.flat + "; \"$LOCK\" run " + pack.path +
                  " -- echo no; echo $?; \"$LOCK\" run --reentrant " + pack.path + " -- echo ours; echo $?'"),
             in("/"));
  CHECK(run.out == "75\nours\n0\n");
}

TEST_CASE("--reentrant does not go on under a lock that was lost to another process") {
  const FlatLayout layout;
  const Pack pack;
  Process run(
      bash("exec \"$LOCK\" run " + pack.path + " -- sh -c 'echo ready; read -r l; \"$LOCK\" run -q --reentrant " +
           pack.path + " -- echo no; echo $?'"),
      in("/"));
  REQUIRE(run.line() == "ready");
  Process other({"flock", pack.flat + ".new", "sh", "-c", "echo held; read -r line"});  // no ancestor
  REQUIRE(other.line() == "held");
  fs::rename(pack.flat + ".new", pack.flat);
  run.write("\n");
  CHECK(run.line() == "75");
  run.wait();
}

TEST_CASE("a restored lock that remaining processes did not inherit is reported as lost") {
  const FlatLayout layout;
  const Pack pack;
  Process run(grex_lock({"run", pack.path, "--", "sh", "-c", "exec 3<&0; sh -c 'echo $$; read -r line' <&3 && true"}));
  const pid_t work = std::stoi(run.line());
  fs::remove(pack.flat);
  CHECK(run.error_line() == restored_line(pack.flat));
  run.signal(SIGTERM);
  CHECK(run.wait() == exited(128 + SIGTERM));
  CHECK(run.error_line() == "grex-lock: lock lost: " + pack.flat +
                                ": the restored lock ended with grex-lock, and what the command left running did not "
                                "inherit it");
  CHECK(run.error_line().starts_with("grex-lock: still locked: "));
  CHECK_FALSE(is_busy(pack.path));
  run.close_input();
  reap(work);
}

TEST_CASE("a removal while grex-lock is stopped is noticed when it continues") {
  const Pack pack;
  Process run = start_run({pack.path});
  run.signal(SIGSTOP);
  until([&run] { return state_of(run.pid()) == 'T'; });
  fs::remove(pack.flat);
  run.signal(SIGCONT);
  CHECK(run.error_line() == restored_line(pack.flat));
  end(run);
}

TEST_CASE("the locks of one command are restored together, a line each") {
  const TempDir dir;
  const auto [first, second] = dir.make_two();
  Process run = start_run({"--layout", "flat", first, second});
  fs::remove(first + "/.grex-lock");
  fs::remove(second + "/.grex-lock");
  Words lines = {run.error_line(), run.error_line()};
  Words wanted = {restored_line(first + "/.grex-lock"), restored_line(second + "/.grex-lock")};
  std::sort(lines.begin(), lines.end());
  std::sort(wanted.begin(), wanted.end());
  CHECK(lines == wanted);
  end(run);
}

TEST_CASE("a guard that was removed is restored, and keeps sync out") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  dir.make(".grex");
  write_file(dir / ".grex/pack.yaml", "");
  Process run = start_with_events("--guard " + pack);
  fs::remove(dir / ".grex.sync.lock");
  const json restored = json::parse(run.line());
  CHECK(restored["event"] == "restored");
  CHECK(restored["locks"][0]["tier"] == "workspace-sync");
  CHECK(restored["files"] == json({dir / ".grex.sync.lock"}));
  CHECK(run_tool({"run", "-n", "-q", "-t", "workspace-sync", dir.path(), "--", "true"}).ended == exited(75));
  run.close_input();
  run.wait();
}

TEST_CASE("on a file system that does not answer, looks do not keep signals from the command") {
  if (is_sanitized()) return skip("LeakSanitizer stops all threads, and waits for the one that is stuck, too");
  const TempDir dir;
  const std::string mounted = dir.make("mounted");
  Process server(on_fuse(mounted, 0,
                         "exec " + grex_lock() + " run --layout flat -s " + mounted +
                             " -- sh -c 'echo $PPID; trap \"echo asked\" TERM; while ! read -r line; do :; done'"));
  pid_t tool = 0;
  try {
    tool = std::stoi(server.line());
  } catch (const std::exception&) {
    return skip("FUSE may not be mounted here");
  }
  server.signal(SIGSTOP);
  until([&server] { return state_of(server.pid()) == 'T'; });
  const std::string threads = "/proc/" + std::to_string(tool) + "/task";
  const auto count = [&threads] { return std::distance(fs::directory_iterator(threads), fs::directory_iterator()); };
  until([&count] { return count() == 2; });
  ::kill(tool, SIGTERM);
  CHECK(server.line() == "asked");
  server.signal(SIGCONT);
  server.write("\n");
  CHECK(server.wait() == exited(0));
}
