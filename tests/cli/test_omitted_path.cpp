// The enclosing pack, which is meant if PATH is omitted: where the search for it ends, and
// which directories it does not trust.

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

constexpr unsigned user = 65533;
constexpr unsigned other_user = 65534;

// A directory with `.grex/pack.yaml`; returns its path.
std::string make_pack(const TempDir& dir, const std::string& name) {
  dir.make(name + "/.grex");
  write_file(dir / (name + "/.grex/pack.yaml"), "");
  return dir / name;
}

// The pack that `wait` uses in a directory; empty if it finds none.
std::string pack_from(const std::string& directory, Setup setup = {}) {
  setup.directory = directory;
  const Finished finished = run_tool({"wait"}, setup);
  const std::string notice = "grex-lock: no PATH given: using pack ";
  if (finished.ended == exited(64) && finished.err.starts_with("grex-lock: usage: PATH is missing, and ")) return {};
  CHECK(finished.ended == exited(0));
  REQUIRE(finished.err.starts_with(notice));
  return finished.err.substr(notice.size(), finished.err.size() - notice.size() - 1);
}

// What `wait` prints if it finds no pack.
std::string refusal_in(const std::string& directory, Setup setup = {}) {
  setup.directory = directory;
  const Finished finished = run_tool({"wait"}, setup);
  CHECK(finished.ended == exited(64));
  return finished.err;
}

std::string stopped_at(const std::string& directory) {
  return "grex-lock: usage: PATH is missing, and the search for a pack stopped at " + directory +
         ", which other users can write to\ngrex-lock: name the pack, or cd into it ('.' is the current directory)\n";
}

void give_to(unsigned owner, const std::string& path) { REQUIRE(::lchown(path.c_str(), owner, owner) == 0); }

void set_mode(const std::string& path, mode_t mode) { REQUIRE(::chmod(path.c_str(), mode) == 0); }

}  // namespace

TEST_CASE("if PATH is missing because --note has taken it, the error says so") {
  const TempDir dir;
  dir.make("my app");
  const Finished finished = run_tool({"run", "-t", "workspace-sync", "--note", "my app", "--", "true"}, in(dir.path()));
  CHECK(finished.ended == exited(64));
  CHECK(finished.err ==
        "grex-lock: usage: PATH is missing at tier workspace-sync\n"
        "grex-lock: --note has taken 'my app' for its TEXT\n");
}

TEST_CASE("without PATH, the nearest directory with .grex/pack.yaml or .git is locked and named") {
  const TempDir dir;
  const std::string ws = make_pack(dir, "ws");
  const std::string app = make_pack(dir, "ws/app");
  CHECK(pack_from(dir.make("ws/doc/deep")) == ws);
  CHECK(pack_from(dir.make("ws/app/src/deep")) == app);
  CHECK(pack_from(app) == app);

  dir.make("ws/lib/.git");
  CHECK(pack_from(dir.make("ws/lib/src")) == dir / "ws/lib");
  CHECK(pack_from(dir.make("ws/lib/.git/hooks")) == dir / "ws/lib");
  dir.make("ws/app/tree");
  write_file(dir / "ws/app/tree/.git", "gitdir: ../../lib/.git/worktrees/tree\n");
  CHECK(pack_from(dir.make("ws/app/tree/src")) == dir / "ws/app/tree");
  dir.make("ws/app/linked/src");
  std::filesystem::create_symlink("../../lib/.git", dir / "ws/app/linked/.git");
  CHECK(pack_from(dir / "ws/app/linked/src") == dir / "ws/app/linked");
}

TEST_CASE("run, hold, wait and probe name the pack in one line, unless -q is given") {
  const TempDir dir;
  const std::string app = make_pack(dir, "app");
  const Setup deep = in(dir.make("app/src/deep"));
  const std::string notice = "grex-lock: no PATH given: using pack " + app + "\n";
  for (const auto& words : {Words{"run", "--", "flock", "-n", app + "/.grex-lock", "echo"}, Words{"hold", "--for", "0"},
                            Words{"wait"}, Words{"probe"}}) {
    CAPTURE(words.front());
    Words loud = {grex_lock()};
    loud.insert(loud.end(), words.begin(), words.end());
    const Finished named = finish(loud, deep);
    CHECK(named.err == notice);
    CHECK(named.ended == exited(words.front() == "run" ? 1 : 0));
    loud.insert(loud.begin() + 2, "-q");
    CHECK(finish(loud, deep).err.empty());
  }
  CHECK_FALSE(exists(dir / "app/src/deep/.grex-lock"));
  CHECK(run_tool({"run", "-t", "manifest", "--", "true"}, deep).err == notice);
  CHECK(exists(app + "/.grex/.grex.lock"));
  CHECK(run_tool({"run", "-l", "manifest:" + app, "--", "true"}, deep).err.empty());
}

TEST_CASE("what grex-lock itself leaves behind is no pack") {
  const TempDir dir;
  const std::string ws = make_pack(dir, "ws");
  const std::string tools = dir.make("ws/tools");
  for (const char* const layout : {"flat", "nested"}) {
    for (const char* const tier : {"workspace-sync", "per-pack", "manifest", "semaphore"}) {
      CHECK(run_tool({"run", "--layout", layout, "-t", tier, tools, "--", "true"}).ended == exited(0));
    }
  }
  REQUIRE(exists(tools + "/.grex"));
  CHECK(pack_from(tools) == ws);
}

TEST_CASE("only a real .grex/ with a regular file pack.yaml makes a pack") {
  const TempDir dir;
  const std::string ws = make_pack(dir, "ws");
  const std::string elsewhere = make_pack(dir, "elsewhere");
  dir.make("ws/a");
  std::filesystem::create_symlink(elsewhere + "/.grex", dir / "ws/a/.grex");
  dir.make("ws/b/.grex");
  std::filesystem::create_symlink(elsewhere + "/.grex/pack.yaml", dir / "ws/b/.grex/pack.yaml");
  dir.make("ws/c/.grex/pack.yaml");
  dir.make("ws/d");
  write_file(dir / "ws/d/.grex", "");
  dir.make("ws/e");
  REQUIRE(::mkfifo((dir / "ws/e/.git").c_str(), 0600) == 0);
  for (const char* const name : {"a", "b", "c", "d", "e"}) {
    CAPTURE(name);
    CHECK(pack_from(dir / "ws/" + name) == ws);
  }
}

TEST_CASE("PATH is required outside a pack, or if the tier means another directory") {
  CHECK(refusal_in("/") ==
        "grex-lock: usage: PATH is missing, and the current directory is not in a pack\n"
        "grex-lock: name the pack, or cd into it ('.' is the current directory)\n");
  const TempDir dir;
  const Setup pack = in(make_pack(dir, "app"));
  for (const char* const tier : {"workspace-sync", "semaphore", "backend"}) {
    for (const auto& words :
         {grex_lock({"run", "-t", tier, "--", "true"}), grex_lock({"hold", "-t", tier, "--for", "0"}),
          grex_lock({"wait", "-t", tier}), grex_lock({"probe", "-t", tier})}) {
      const Finished finished = finish(words, pack);
      CHECK(finished.ended == exited(64));
      CHECK(finished.err.starts_with("grex-lock: usage: PATH is missing at tier " + std::string(tier) + "\n"));
    }
  }
}

TEST_CASE("status falls back to the current directory, and says nothing") {
  const TempDir dir;
  make_pack(dir, "");
  const auto target_from = [&](const std::string& directory) {
    const Finished finished = run_tool({"status", "--json"}, in(directory));
    CHECK(finished.err.empty());
    return json::parse(finished.out)["locks"][0]["target"];
  };
  CHECK(target_from(dir.make("src")) == dir.path());
  const std::string open = dir.make("open");
  set_mode(open, 0777);
  CHECK(target_from(open) == open);
  CHECK(target_from("/") == "/");
}

// SECURITY.md: plant a pack above the working directory, for example in `/tmp`, so that a lock excludes no process |
// the search upwards stops before it looks there, and the error names the directory
TEST_CASE("a pack that is planted in a directory that every user can write to is never used, not even by root") {
  const TempDir dir;
  make_pack(dir, "");
  for (const mode_t mode : {01777, 0777, 0702}) {
    CAPTURE(mode);
    const std::string shared = make_pack(dir, "shared");
    dir.make("shared/.git");
    const std::string mine = dir.make("shared/mine/deep");
    set_mode(shared, mode);
    CHECK(refusal_in(mine) == stopped_at(shared));
    CHECK(refusal_in(shared) == stopped_at(shared));
    CHECK_FALSE(exists(shared + "/.grex-lock"));
    CHECK(run_tool({"run", ".", "--", "true"}, in(shared)).ended == exited(0));
    std::filesystem::remove_all(shared);
  }
}

TEST_CASE("below a directory that every user can write to, one's own pack is used") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "shared/mine");
  set_mode(dir / "shared", 01777);
  CHECK(pack_from(dir.make("shared/mine/src")) == pack);
}

// SECURITY.md: plant a pack above the working directory, for example in `/tmp`, so that a lock excludes no process |
// the search upwards stops before it looks there, and the error names the directory
TEST_CASE("a pack.yaml in a .grex/ that every user can write to stops the search") {
  const TempDir dir;
  make_pack(dir, "");
  const std::string app = make_pack(dir, "app");
  set_mode(app + "/.grex", 0777);
  CHECK(refusal_in(app) == stopped_at(app + "/.grex"));
  std::filesystem::remove(app + "/.grex/pack.yaml");
  CHECK(pack_from(app) == dir.path());
}

// SECURITY.md: plant a pack above the working directory, for example in `/tmp`, so that a lock excludes no process |
// the search upwards stops before it looks there, and the error names the directory
TEST_CASE("the search stops at another user's directory, but not at root's") {
  if (!can_become_others()) return;
  const TempDir dir;
  set_mode(dir.path(), 0755);
  make_pack(dir, "");
  const std::string theirs = make_pack(dir, "theirs");
  const std::string mine = dir.make("theirs/mine/deep");
  give_to(other_user, theirs);
  give_to(user, dir / "theirs/mine");
  give_to(user, mine);
  CHECK(refusal_in(mine, as_user(user)) == stopped_at(theirs));
  CHECK(refusal_in(theirs, as_user(user)) == stopped_at(theirs));
  // Root works in other users' packs.
  CHECK(pack_from(mine) == theirs);
  give_to(0, theirs);
  CHECK(pack_from(mine, as_user(user)) == theirs);
}

TEST_CASE("a directory that can't be read ends the search") {
  if (!can_become_others()) return;
  const TempDir dir;
  set_mode(dir.path(), 0755);
  make_pack(dir, "closed");
  const std::string mine = dir.make("closed/mine");
  set_mode(dir / "closed", 0700);
  CHECK(refusal_in(mine, as_user(user)) ==
        "grex-lock: usage: PATH is missing, and the search for a pack stopped at " + dir / "closed" +
            ", which cannot be read\ngrex-lock: name the pack, or cd into it ('.' is the current directory)\n");
  set_mode(dir / "closed", 0711);
  give_to(user, dir / "closed");
  CHECK(pack_from(mine, as_user(user)) == dir / "closed");
}

TEST_CASE("a pack is found from a working directory whose path is longer than the kernel allows") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "app");
  const std::string name(250, 'd');
  Setup deep = in(pack);
  deep.before_exec = [&name] {
    for (int level = 0; level < 20; ++level) {
      if (::mkdir(name.c_str(), 0700) != 0 || ::chdir(name.c_str()) != 0) ::_exit(2);
    }
  };
  const Finished finished = run_tool({"wait"}, deep);
  CHECK(finished.ended == exited(0));
  CHECK(finished.err == "grex-lock: no PATH given: using pack " + pack + "\n");
}

TEST_CASE("the search goes from a mounted directory to the one above its mount point") {
  const TempDir dir;
  const std::string ws = make_pack(dir, "ws");
  const std::string mount_point = dir.make("ws/mounted");
  const std::string source = make_pack(dir, "source");
  dir.make("source/inner/deep");
  const Finished finished = finish(
      {"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
       "mount --bind " + source + "/inner " + mount_point + " || exit 77; cd " + mount_point + "/deep && \"$1\" wait",
       "sh", grex_lock()});
  if (finished.ended == exited(77)) return skip("this may not be mounted here");
  CHECK(finished.err == "grex-lock: no PATH given: using pack " + ws + "\n");
}

// SECURITY.md: plant a pack above the working directory, for example in `/tmp`, so that a lock excludes no process |
// the search upwards stops before it looks there, and the error names the directory
TEST_CASE("what another user planted above attracts no lock, in whatever form the directory is named") {
  if (!can_become_others()) return;
  const TempDir dir;
  set_mode(dir.path(), 0755);
  const std::string planted = make_pack(dir, "planted");
  dir.make("planted/.git");
  const std::string mine = dir.make("planted/mine/deep");
  const std::string ws = make_pack(dir, "ws");
  std::filesystem::create_symlink(mine, dir / "ws/link");
  for (const std::string& path : {dir / "planted/mine", mine, ws, ws + "/.grex", ws + "/link"}) give_to(user, path);
  struct Owned {
    unsigned owner;
    mode_t mode;
    unsigned us;
  };
  for (const auto& [owner, mode, us] : {Owned{other_user, 0755, user}, Owned{0, 01777, user}, Owned{user, 01777, user},
                                        Owned{0, 01777, 0}, Owned{user, 0777, 0}}) {
    CAPTURE(owner);
    CAPTURE(mode);
    CAPTURE(us);
    give_to(owner, planted);
    set_mode(planted, mode);
    const std::string before = finish({"find", planted, "-path", planted + "/mine", "-prune", "-o", "-print"}).out;
    const Setup setup = us == 0 ? Setup{} : as_user(us);
    const std::pair<std::string, std::string> places[] = {{mine, "."}, {mine, "../deep"}, {ws, "link"}, {"/", mine}};
    for (const auto& [cwd, path] : places) {
      CAPTURE(path);
      Setup here = setup;
      here.directory = cwd;
      if (path == ".") CHECK(refusal_in(cwd, here) == stopped_at(planted));
      const Finished clone =
          run_tool({"run", "--layout", "nested", "-t", "backend", path + "/clone", "--", "true"}, here);
      CHECK(clone.ended == exited(66));
      CHECK(clone.err.starts_with("grex-lock: not found: " + planted + ": the search for .grex/pack.yaml stops at"));
      const Finished guarded = run_tool({"run", "--guard", path, "--", "echo", "ran"}, here);
      // The workspace above the link is guarded, and not what is above its target.
      CHECK(guarded.ended == exited(path == "link" ? 0 : 66));
      CHECK(guarded.err.find(planted + ", which other users can write to") != std::string::npos);
    }
    CHECK(finish({"find", planted, "-path", planted + "/mine", "-prune", "-o", "-print"}).out == before);
  }
}
