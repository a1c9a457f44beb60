// --guard: shared locks on the workspaces above a pack, which keep `grex sync` out.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// A workspace with the packs app, doc and lib.
class Workspace : public TempDir {
 public:
  Workspace() {
    make_pack("ws");
    for (const char* const name : {"ws/app", "ws/doc", "ws/lib"}) make(name);
  }
  void make_pack(const std::string& name) const {
    make(name + "/.grex");
    write_file(*this / (name + "/.grex/pack.yaml"), "");
  }
};

// What `grex sync` does: one exclusive try at workspace-sync, in either place, and then work
// on packs without their locks. It ends with 3 if the lock is busy.
Words sync_of(const std::string& workspace, const std::string& lock, const std::string& work) {
  return {"flock", "-n", "-E", "3", workspace + lock, "sh", "-c", work};
}

constexpr std::array sync_locks = {"/.grex.sync.lock", "/.grex/.grex.sync.lock"};

}  // namespace

TEST_CASE("a guarded job keeps every grex sync of the workspaces above out, and others guarded jobs may run") {
  const Workspace dir;
  dir.make_pack("ws/inner");
  const std::string pack = dir.make("ws/inner/app");
  Process job(grex_lock({"run", "--guard", pack, "--", "sh", "-c", "echo ready; read -r line"}));
  CHECK(job.line() == "ready");
  for (const std::string& workspace : {dir / "ws", dir / "ws/inner"}) {
    for (const char* const lock : sync_locks) {
      CAPTURE(workspace + lock);
      CHECK(finish(sync_of(workspace, lock, "true")).ended == exited(3));
    }
  }
  CHECK(run_tool({"run", "-n", "--guard", dir / "ws/lib", "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "-n", "--guard", pack, "--", "true"}).ended == exited(75));
  CHECK(run_tool({"run", "-n", "-t", "workspace-sync", dir / "ws", "--", "true"}).ended == exited(75));
  job.close_input();
  CHECK(job.wait() == exited(1));
  for (const char* const lock : sync_locks) CHECK(finish(sync_of(dir / "ws", lock, "true")).ended == exited(0));
}

TEST_CASE("run, hold, wait and probe find a grex sync in the way") {
  const Workspace dir;
  for (const char* const lock : sync_locks) {
    const Fd sync = lock_as_grex(dir / "ws" + lock);
    for (const auto& words :
         {grex_lock({"run", "-n", "--guard", dir / "ws/app", "--", "true"}),
          grex_lock({"hold", "-n", "--guard", dir / "ws/app"}), grex_lock({"wait", "-n", "--guard", dir / "ws/app"}),
          grex_lock({"probe", "--guard", dir / "ws/app"})}) {
      CAPTURE(words[1]);
      const Finished finished = finish(words);
      CHECK(finished.ended == exited(75));
      CHECK(finished.err.find(dir / "ws" + lock) != std::string::npos);
    }
  }
  CHECK(run_tool({"probe", "--guard", dir / "ws/app"}).ended == exited(0));
  CHECK(run_tool({"wait", "--guard", dir / "ws/app"}).ended == exited(0));
}

TEST_CASE("what is guarded is shown by -v and the event, and is in the stack as shared") {
  const Workspace dir;
  const Finished finished = run_tool({"run", "-v", "--json-status-fd=1", "--guard", dir / "ws/app", "--", "true"});
  CHECK(finished.err.find("grex-lock: guarded: " + dir / "ws" + "\n") != std::string::npos);
  const json acquired = json::parse(finished.out.substr(0, finished.out.find('\n')));
  CHECK(acquired["guards"] == json::array({dir / "ws"}));
  const json stack =
      json::parse(run_tool({"run", "--guard", dir / "ws/app", "--", "sh", "-c", "echo \"$GREX_LOCK_STACK\""}).out);
  REQUIRE(stack.size() == 4);
  CHECK(stack[0]["path"] == dir / "ws/.grex.sync.lock");
  CHECK(stack[0]["mode"] == "shared");
  CHECK(stack[3]["mode"] == "exclusive");
  const std::string events = run_tool({"run", "--json-status-fd=1", dir / "ws/app", "--", "true"}).out;
  const json plain = json::parse(events.substr(0, events.find('\n')));
  CHECK(plain["guards"] == json::array());
}

TEST_CASE("--guard=DIR guards a workspace that is not above, and may be repeated") {
  const Workspace dir;
  dir.make("other");
  Process job(grex_lock(
      {"run", "--guard=" + dir / "other", "--guard", dir / "ws/app", "--", "sh", "-c", "echo ready; read -r line"}));
  CHECK(job.line() == "ready");
  CHECK(finish(sync_of(dir / "other", "/.grex.sync.lock", "true")).ended == exited(3));
  CHECK(finish(sync_of(dir / "ws", "/.grex.sync.lock", "true")).ended == exited(3));
  job.close_input();
  job.wait();
  const std::string alone = dir.make("alone");
  CHECK(run_tool({"run", "--guard=" + dir / "other", alone, "--", "true"}).ended == exited(0));
  CHECK(run_tool({"run", "--guard=" + dir / "none", alone, "--", "true"}).ended == exited(66));
}

TEST_CASE("a workspace above the path as it is written is guarded, too") {
  const Workspace dir;
  const std::string elsewhere = dir.make("elsewhere/app");
  std::filesystem::create_directory_symlink(elsewhere, dir / "ws/linked");
  Process job(grex_lock({"run", "--guard", dir / "ws/linked", "--", "sh", "-c", "echo ready; read -r line"}));
  CHECK(job.line() == "ready");
  CHECK(finish(sync_of(dir / "ws", "/.grex.sync.lock", "true")).ended == exited(3));
  job.close_input();
  job.wait();
}

TEST_CASE("a search that stopped below another workspace is a warning") {
  const Workspace dir;
  dir.make_pack("ws/open/inner");
  const std::string pack = dir.make("ws/open/inner/app");
  REQUIRE(::chmod((dir / "ws/open").c_str(), 0777) == 0);
  const Finished finished = run_tool({"run", "--guard", pack, "--", "true"});
  CHECK(finished.ended == exited(0));
  CHECK(finished.err.starts_with("grex-lock: warning: " + pack + ": guards " + dir / "ws/open/inner" +
                                 "; the search for a workspace further up stopped at " + dir / "ws/open" +
                                 ", which other users can write to\n"));
  CHECK(run_tool({"run", "-q", "--guard", pack, "--", "true"}).err.empty());
  const std::string named = "--guard=" + dir / "ws";
  CHECK(run_tool({"run", named, pack, "--", "true"}).err.empty());
  CHECK(run_tool({"run", named, "--guard", pack, "--", "true"}).err == finished.err);
  CHECK(run_tool({"run", "--guard", pack, dir.make("ws/open/inner/lib"), "--", "true"}).err == finished.err);
}

TEST_CASE("--guard DIR with a blank also locks DIR as a pack, and says so") {
  const Workspace dir;
  const auto count_warnings = [&dir](Words words) {
    words.insert(words.end(), {"--", "true"});
    const Finished finished = finish(words, in(dir.path()));
    CHECK(finished.ended == exited(0));
    const std::string warning = "grex-lock: warning: ws is locked as a pack, too; to only guard it, write --guard=ws\n";
    const auto first = finished.err.find(warning);
    const bool is_repeated = first != std::string::npos && finished.err.find(warning, first + 1) != std::string::npos;
    return first == std::string::npos ? 0 : is_repeated ? 2 : 1;
  };
  CHECK(count_warnings(grex_lock({"run", "--guard", "ws", "ws/app", "ws/lib"})) == 1);
  CHECK(count_warnings(grex_lock({"run", "-q", "--guard", "ws", "ws/app"})) == 0);
  CHECK(count_warnings(grex_lock({"run", "--guard=ws", "ws", "ws/app"})) == 0);
  CHECK(count_warnings(grex_lock({"run", "--guard", "-l", "per-pack:ws", "-l", "per-pack:ws/app"})) == 0);
  CHECK(count_warnings(grex_lock({"run", "--guard", "ws/app", "ws/lib"})) == 0);
}

TEST_CASE("a lock at workspace-sync of what is no workspace, but lies in one, is a warning") {
  const Workspace dir;
  const std::string app = dir / "ws/app";
  const std::string warning = "grex-lock: warning: " + app + " has no .grex/pack.yaml; this lock doesn't exclude " +
                              "'grex sync' of the workspace " + dir / "ws" + "\n";
  for (const char* const command : {"run", "wait", "probe"}) {
    CAPTURE(command);
    Words words = grex_lock({command, "-t", "workspace-sync", app});
    if (std::string(command) == "run") words.insert(words.end(), {"--", "true"});
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(0));
    CHECK(finished.err == warning);
    words.insert(words.begin() + 2, "-q");
    CHECK(finish(words).err == "");
  }
  CHECK(run_tool({"run", "-t", "workspace-sync", dir / "ws", "--", "true"}).err == "");
  CHECK(run_tool({"run", "-t", "workspace-sync", dir.make("alone"), "--", "true"}).err == "");
}

TEST_CASE("slots of what is no workspace, but lies in one, are a warning") {
  const Workspace dir;
  const std::string app = dir / "ws/app";
  const std::string warning = "grex-lock: warning: " + app + " has no .grex/pack.yaml; its slots are not those of " +
                              "the workspace " + dir / "ws" + "\n";
  const auto err_of = [](const std::string& directory) {
    return run_tool({"run", "-t", "semaphore", directory, "--", "true"}).err;
  };
  CHECK(err_of(app) == warning);
  CHECK(run_tool({"run", "-q", "-t", "semaphore", app, "--", "true"}).err == "");
  CHECK(err_of(dir / "ws") == "");
  CHECK(err_of(dir.make("alone")) == "");
}

TEST_CASE("probe and wait warn of what is no pack, but lies in one, if it was never locked") {
  const Workspace dir;
  dir.make_pack("ws/app");
  const std::string part = dir.make("ws/app/src");
  const std::string warning = "grex-lock: warning: " + part +
                              " is not a pack, but lies in one; to lock the pack, name " + dir / "ws/app" +
                              " as PATH\n";
  for (const char* const command : {"probe", "wait"}) {
    CAPTURE(command);
    const Finished finished = run_tool({command, part});
    CHECK(finished.ended == exited(0));
    CHECK(finished.err == warning);
    CHECK(run_tool({command, "-q", part}).err == "");
    CHECK(run_tool({command, dir / "ws/app"}).err == "");
  }
  CHECK(run_tool({"wait", dir / "ws/app", part}).err == warning);
  CHECK(run_tool({"run", "-q", part, "--", "true"}).ended == exited(0));
  CHECK(run_tool({"probe", part}).err == "");  // it was locked before
}

TEST_CASE("a lock of what is no pack, but lies in one, is a warning when its lock file is new") {
  const Workspace dir;
  dir.make("ws/app/.git");
  dir.make_pack("ws/lib");
  for (const char* const pack : {"ws/app", "ws/lib"}) {
    const std::string part = dir.make(std::string(pack) + "/src");
    const std::string warning = "grex-lock: warning: " + part +
                                " is not a pack, but lies in one; to lock the pack, name " + dir / pack + " as PATH\n";
    const Finished first = run_tool({"run", part, "--", grex_lock(), "run", "--reentrant", part, "--", "true"});
    CHECK(first.ended == exited(0));
    CHECK(first.err == warning);
    CHECK(run_tool({"run", part, "--", "true"}).err == "");  // it was locked before
  }
  const auto warns = [&dir](const Words& options, const std::string& path) {
    Words words = grex_lock({"run"});
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {dir / path, "--", "true"});
    const Finished finished = finish(words);
    CHECK(finished.ended == exited(0));
    return !finished.err.empty();
  };
  CHECK(warns({"--layout", "nested"}, dir.make("ws/app/nested").substr(dir.path().size() + 1)));
  CHECK(warns({"--create"}, "ws/lib/new/deep"));
  CHECK_FALSE(warns({"-q", "--create"}, "ws/lib/quiet/deep"));
  CHECK_FALSE(warns({"--no-record"}, "ws/app"));
  CHECK_FALSE(warns({}, "ws/doc"));  // a child of the workspace
  CHECK_FALSE(warns({}, "ws"));
  dir.make("ws/app/inner/.git");
  CHECK_FALSE(warns({}, "ws/app/inner"));
  CHECK_FALSE(warns({"-t", "backend"}, "ws/app/src"));
  CHECK_FALSE(warns({"--create"}, "alone/deep"));
}

TEST_CASE("without a workspace above, --guard is refused, and GREX_LOCK_GUARD locks the pack alone") {
  const TempDir dir;
  const std::string pack = dir.make("app");
  const Finished refused = run_tool({"run", "--guard", pack, "--", "true"});
  CHECK(refused.ended == exited(66));
  CHECK(refused.err.starts_with("grex-lock: not found: " + pack + ": "));
  CHECK(refused.err.ends_with("\ngrex-lock: name the workspace: --guard=DIR\n"));
  const Setup by_default = {.environment = {{"GREX_LOCK_GUARD", "1"}}};
  CHECK(run_tool({"run", "-q", pack, "--", "true"}, by_default).ended == exited(0));
  CHECK(run_tool({"run", "-t", "manifest", pack, "--", "true"}, by_default).err.empty());
  const Finished bad = run_tool({"run", pack, "--", "true"}, {.environment = {{"GREX_LOCK_GUARD", "yes"}}});
  CHECK(bad.ended == exited(64));

  const Workspace ws;
  const Fd sync = lock_as_grex(ws / "ws/.grex.sync.lock");
  CHECK(run_tool({"run", "-n", ws / "ws/app", "--", "true"}, by_default).ended == exited(75));
  CHECK(run_tool({"run", "-n", ws / "ws/app", "--", "true"}, {.environment = {{"GREX_LOCK_GUARD", "0"}}}).ended ==
        exited(0));
}

TEST_CASE("--guard without a pack, with an empty DIR, or with a directory of lock files is a usage error") {
  const Workspace dir;
  CHECK(run_tool({"run", "--guard=", dir / "ws/app", "--", "true"}).ended == exited(64));
  CHECK(run_tool({"run", "--guard=" + dir / "ws/.grex", dir / "ws/app", "--", "true"}).ended == exited(64));
  CHECK(run_tool({"run", "--create", "--guard", "-t", "manifest", dir / "new", "--", "true"}).ended == exited(64));
  CHECK_FALSE(exists(dir / "new"));
  const Finished finished = run_tool({"run", "--guard", "-t", "workspace-sync", dir / "ws", "--", "true"});
  CHECK(finished.ended == exited(64));
  CHECK(finished.err.starts_with("grex-lock: usage: --guard has no effect without tier per-pack\n"));
  const Finished slot = run_tool({"run", "--guard", "-t", "semaphore", "--slots", "1", dir / "ws", "--", "true"});
  CHECK(slot.ended == exited(64));
  CHECK(slot.err ==
        "grex-lock: usage: --guard has no effect without tier per-pack\n"
        "grex-lock: for a slot and a guarded pack, name both: -l semaphore:WORKSPACE --guard PACK\n");
}

TEST_CASE("a guard that an ancestor holds is not taken again, and one that is missing below a held tier is refused") {
  const Workspace dir;
  const std::string tool = grex_lock();
  CHECK(run_tool({"run", "--guard", dir / "ws/app", "--", tool, "run", "--guard", "--reentrant", dir / "ws/app", "--",
                  "true"})
            .ended == exited(0));
  CHECK(
      run_tool({"run", "-t", "workspace-sync", dir / "ws", "--", tool, "run", "--guard", dir / "ws/app", "--", "true"})
          .ended == exited(0));
  const Finished missing =
      run_tool({"run", dir / "ws/app", "--", tool, "run", "--guard", "--reentrant", dir / "ws/app", "--", "true"});
  CHECK(missing.ended == exited(76));
  CHECK(missing.err.find("use --guard on the outermost command, or take both locks in one command with -l\n") !=
        std::string::npos);
}

TEST_CASE("a guard under a slot is refused, with the words that take both in one command") {
  const Workspace dir;
  const std::string ws = dir / "ws";
  const Finished refused = run_tool({"run", "-t", "semaphore", "--slots", "1", ws, "--", grex_lock(), "run", "--guard",
                                     dir / "ws/app", "--", "true"});
  CHECK(refused.ended == exited(76));
  const std::string hint = "grex-lock: take both in one command: -l semaphore:" + ws + " --slots N --guard " +
                           dir / "ws/app" +
                           "; to run 'grex sync' between them, see 'Sync, then build' in grex-lock(7)\n";
  CHECK(refused.err.ends_with(hint));
  Process job(grex_lock({"run", "-l", "semaphore:" + ws, "--slots", "1", "--guard", dir / "ws/app", "--", "sh", "-c",
                         "echo ready; read -r line"}));
  CHECK(job.line() == "ready");
  CHECK(run_tool({"run", "-n", "-t", "semaphore", "--slots", "1", ws, "--", "true"}).ended == exited(75));
  CHECK(finish(sync_of(ws, sync_locks[0], "true")).ended == exited(3));
  job.close_input();
  job.wait();
}

TEST_CASE("a workspace that is also locked exclusively is locked so") {
  const Workspace dir;
  Process job(grex_lock({"run", "--guard", dir / "ws/app", "-l", "workspace-sync:" + dir / "ws", "--", "sh", "-c",
                         "echo ready; read -r line"}));
  CHECK(job.line() == "ready");
  CHECK(run_tool({"run", "-n", "--guard", dir / "ws/lib", "--", "true"}).ended == exited(75));
  job.close_input();
  job.wait();
}

TEST_CASE("beside guarded jobs on three packs, no grex sync writes into one of them, and the jobs overlap") {
  const Workspace dir;
  const int jobs = tries(200);
  // A sync writes into a declarative pack without its lock. Each side claims by mkdir, which
  // fails if another is there.
  const std::string sync =
      "for pack in app doc lib; do mkdir \"$0/$pack.claim\" || exit 9; done; "
      "for pack in app doc lib; do rmdir \"$0/$pack.claim\"; done";
  const std::string job = "mkdir \"$0.claim\" || exit 9; rmdir \"$0.claim\"";
  int synced = 0;
  const Words packs = {dir / "ws/app", dir / "ws/doc", dir / "ws/lib"};
  for (int i = 0; i < jobs; i += 3) {
    std::vector<Process> running;
    for (const std::string& pack : packs) {
      running.emplace_back(grex_lock({"run", "--guard", pack, "--", "sh", "-c", job, pack}));
    }
    for (const char* const lock : sync_locks) {
      Words words = sync_of(dir / "ws", lock, sync);
      words.push_back(dir / "ws");
      const Ended ended = finish(words).ended;
      CHECK((ended == exited(0) || ended == exited(3)));
      if (ended == exited(0)) ++synced;
    }
    for (Process& process : running) CHECK(process.wait() == exited(0));
  }
  MESSAGE(synced << " syncs got in between");
  // Jobs on different packs run at the same time: each waits for the next.
  std::vector<Process> together;
  for (const std::string& pack : packs) {
    together.emplace_back(grex_lock({"run", "--guard", pack, "--", "sh", "-c", "echo in; read -r line"}));
  }
  for (Process& process : together) CHECK(process.line() == "in");
  for (Process& process : together) process.close_input();
  for (Process& process : together) process.wait();
}
