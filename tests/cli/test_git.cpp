// Lock files and git: they must not show in `git status`, because grex skips what is dirty.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

constexpr const char* first_words = "# BEGIN grex-lock ";
constexpr unsigned nobody = 65534;

// Without the configuration and the repository that the environment of the tests may name.
Setup git_in(const std::string& directory) {
  return {.environment = {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                          {"GIT_CONFIG_NOSYSTEM", "1"},
                          {"GIT_DIR", std::nullopt},
                          {"GIT_WORK_TREE", std::nullopt},
                          {"GIT_INDEX_FILE", std::nullopt}},
          .directory = directory};
}

// The output of git with these words.
std::string git(const std::string& directory, const std::string& words) {
  const Finished finished =
      finish(bash("exec git -c user.name=Ada -c user.email=ada@example.org -c protocol.file.allow=always " + words),
             git_in(directory));
  CAPTURE(words);
  CAPTURE(finished.err);
  REQUIRE(finished.ended == exited(0));
  return finished.out;
}

// What makes grex skip a pack, if there is any.
std::string dirt_in(const std::string& directory) {
  return git(directory, "status --porcelain --ignored=no --untracked-files=all");
}

// A pack of grex with one commit, in a repository of its own.
std::string make_pack(const TempDir& dir, const std::string& name) {
  std::string pack = dir.make(name);
  git(pack, "init --quiet .");
  dir.make(name + "/.grex");
  write_file(pack + "/.grex/pack.yaml", "name: pack\n");
  git(pack, "add .");
  git(pack, "commit --quiet --message=first");
  return pack;
}

std::string exclude_of(const std::string& pack) { return pack + "/.git/info/exclude"; }

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

std::size_t blocks_in(const std::string& file) { return count(content_of(file), first_words); }

// Takes and releases the lock of a pack that has no lock files yet.
Finished lock_once(const std::string& pack, const Setup& setup = {}) {
  fs::remove(pack + "/.grex-lock");
  fs::remove(pack + "/.grex/.grex-lock");
  return run_tool({"run", pack, "--", "true"}, setup);
}

std::size_t warnings_in(const Finished& finished) { return count(finished.err, "grex may skip this pack"); }

// No block is written to `exclude`, but the lock is taken, with a warning for a reason that
// begins so.
void check_left_alone(const std::string& pack, const std::string& exclude, const std::string& why) {
  const std::string before = content_of(exclude);
  const Finished finished = lock_once(pack);
  CHECK(finished.ended == exited(0));
  CHECK(finished.err.starts_with("grex-lock: warning: cannot write: " + pack + "/.git"));
  CHECK(finished.err.find(": " + why) != std::string::npos);
  CHECK(finished.err.ends_with("; grex may skip this pack, because git status shows lock files\n"));
  CHECK(content_of(exclude) == before);
}

Words files_of(const std::string& tier, const std::string& layout, const std::string& path) {
  const json tiers = json::parse(run_tool({"tiers", "--json", "--layout", layout, path}).out)["tiers"];
  const auto row =
      std::find_if(tiers.begin(), tiers.end(), [&tier](const json& found) { return found["name"] == tier; });
  return (*row)["lock_files"].get<Words>();
}

void give_to(unsigned user, const std::string& path) {
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    REQUIRE(::lchown(entry.path().c_str(), user, user) == 0);
  }
  REQUIRE(::chown(path.c_str(), user, user) == 0);
  ::chmod(fs::path(path).parent_path().c_str(), 0755);
}

}  // namespace

TEST_CASE("git status shows no lock file, whatever command made it, at any tier and in any layout") {
  for (const std::string layout : {"flat", "nested", "both"}) {
    for (const std::string tier : {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"}) {
      CAPTURE(layout);
      CAPTURE(tier);
      const TempDir dir;
      const bool is_backend = tier == "backend";
      const auto path_in = [&](const std::string& pack) { return is_backend ? pack + "/lib/new" : pack; };
      for (const char* const name : {"run", "hold", "fd"}) fs::create_directories(make_pack(dir, name) + "/lib/new");

      const std::string run = dir / "run";
      CHECK(run_tool({"run", "--layout", layout, "-t", tier, path_in(run), "--", "true"}).ended == exited(0));
      CHECK(dirt_in(run).empty());
      // The first sharer creates the gate.
      CHECK(run_tool({"run", "-s", "--layout", layout, "-t", tier, path_in(run), "--", "true"}).ended == exited(0));
      CHECK(dirt_in(run).empty());

      const std::string held = dir / "hold";
      Process hold(grex_lock({"hold", "--layout", layout, "-t", tier, path_in(held)}));
      hold.line();
      CHECK(dirt_in(held).empty());
      hold.signal(SIGTERM);
      CHECK(hold.wait() == exited(0));
      CHECK(dirt_in(held).empty());

      const std::string opened = dir / "fd";
      for (const std::string& file : files_of(tier, layout, path_in(opened))) {
        fs::create_directories(fs::path(file).parent_path());
        const Finished script = finish(bash("exec 9>>'" + file + "'; \"$LOCK\" fd 9"), in(opened));
        CHECK(script.ended == exited(0));
        CHECK(exists(file));
      }
      CHECK(dirt_in(opened).empty());
      for (const char* const name : {"run", "hold", "fd"}) CHECK(blocks_in(exclude_of(dir / name)) == 1);
    }
  }
}

TEST_CASE("git status doesn't show the queue for slots") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  Process hold(grex_lock({"hold", "-t", "semaphore", "--slots", "2", pack}));
  hold.line();
  Process other(grex_lock({"hold", "-t", "semaphore", "--slots", "2", pack}));
  other.line();
  const Finished late = run_tool({"run", "-w", "10ms", "-t", "semaphore", "--slots", "2", pack, "--", "true"});
  CHECK(late.ended == exited(75));
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("a lock file of fd is excluded even if it gets no record") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  CHECK(finish(bash("exec 9>>.grex-lock; \"$LOCK\" fd --shared 9"), in(pack)).ended == exited(0));
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("a lock file is excluded even if another lock of the same command is busy") {
  const TempDir dir;
  const auto [one, two] = dir.make_two();
  make_pack(dir, "a");
  make_pack(dir, "b");
  const Fd lock = lock_as_grex(two + "/.grex-lock");
  CHECK(run_tool({"run", "-n", one, two, "--", "true"}).ended == exited(75));
  CHECK(exists(one + "/.grex-lock"));
  CHECK(dirt_in(one).empty());
}

TEST_CASE("a lock file that another program made is excluded when it gets its first record") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  write_file(pack + "/.grex-lock", "");
  CHECK(lock_once(pack).ended == exited(0));
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("the block is found by git in a linked worktree and in a submodule") {
  const TempDir dir;
  const std::string main = make_pack(dir, "main");
  git(main, "worktree add --quiet ../linked");
  CHECK(lock_once(dir / "linked").ended == exited(0));
  CHECK(exists(dir / "linked/.grex-lock"));
  CHECK(blocks_in(exclude_of(main)) == 1);
  CHECK(dirt_in(dir / "linked").empty());

  const std::string top = make_pack(dir, "top");
  git(top, "submodule --quiet add ../main sub");
  git(top, "commit --quiet --message=sub");
  CHECK(lock_once(top + "/sub").ended == exited(0));
  CHECK(exists(top + "/sub/.grex-lock"));
  CHECK(blocks_in(top + "/.git/modules/sub/info/exclude") == 1);
  CHECK(blocks_in(exclude_of(top)) == 0);
  CHECK(dirt_in(top + "/sub").empty());
  CHECK(dirt_in(top).empty());
}

TEST_CASE("a .git file may name its directory by a relative path, also through directories above") {
  const TempDir dir;
  const std::string main = make_pack(dir, "main");
  git(main, "worktree add --quiet ../deep/linked");
  write_file(dir / "deep/linked/.git", "gitdir: ../../main/.git/worktrees/linked\n");
  CHECK(lock_once(dir / "deep/linked").ended == exited(0));
  CHECK(blocks_in(exclude_of(main)) == 1);
  CHECK(dirt_in(dir / "deep/linked").empty());
}

TEST_CASE("the repository may be above the pack, and a .git without a repository is none") {
  const TempDir dir;
  const std::string top = make_pack(dir, "top");
  const std::string pack = dir.make("top/lib/pack");
  dir.make("top/lib/.git/info");
  CHECK(lock_once(pack).ended == exited(0));
  CHECK(blocks_in(exclude_of(top)) == 1);
  CHECK_FALSE(exists(dir / "top/lib/.git/info/exclude"));
  CHECK(dirt_in(top).empty());
}

TEST_CASE("a missing info directory and a missing exclude file are created") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  fs::remove_all(pack + "/.git/info");
  CHECK(lock_once(pack).ended == exited(0));
  CHECK(content_of(exclude_of(pack)).starts_with(first_words));
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("a last line without newline keeps its meaning") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  write_file(exclude_of(pack), "*.mine");
  write_file(pack + "/x.mine", "");
  CHECK(lock_once(pack).ended == exited(0));
  CHECK(content_of(exclude_of(pack)).starts_with(std::string("*.mine\n") + first_words));
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("an older block is replaced as a whole, and a present one is left as it is") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  CHECK(lock_once(pack).ended == exited(0));
  const std::string exclude = exclude_of(pack);
  const std::string content = content_of(exclude);
  const std::string block = content.substr(content.find(first_words));

  write_file(exclude, "mine\n# BEGIN grex-lock 0: older\n*.older\n# END grex-lock\nyours\n");
  CHECK(lock_once(pack).ended == exited(0));
  CHECK(content_of(exclude) == "mine\n" + block + "yours\n");

  for (const char* const version : {"1", "99"}) {
    const std::string present = std::string(first_words) + version + "\n# edited\n# END grex-lock\n";
    write_file(exclude, present);
    CHECK(lock_once(pack).ended == exited(0));
    CHECK(content_of(exclude) == present);
  }
}

TEST_CASE("processes that look at once write one block") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  const Words locked = {"one", "two", "three", "four"};
  for (const std::string& name : locked) dir.make("pack/" + name);
  const int rounds = tries(100);
  for (int round = 0; round < rounds; ++round) {
    fs::remove(exclude_of(pack));
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const Fd closed_to_start(ends[0]);
    Fd start(ends[1]);
    // Each child waits until no process has the other end any more.
    const Setup together = {.before_exec = [&ends] {
      char byte = 0;
      ::close(ends[1]);
      if (::read(ends[0], &byte, 1) != 0) ::_exit(2);
    }};
    std::vector<Process> processes;
    for (const std::string& name : locked) {
      fs::remove(pack + "/" + name + "/.grex-lock");
      processes.emplace_back(grex_lock({"run", pack + "/" + name, "--", "true"}), together);
    }
    start.reset();
    for (Process& process : processes) CHECK(process.wait() == exited(0));
    CHECK(blocks_in(exclude_of(pack)) == 1);
  }
}

TEST_CASE("GIT_DIR and the like are ignored") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  const std::string other = make_pack(dir, "other");
  const Setup setup = {.environment = {{"GIT_DIR", other + "/.git"},
                                       {"GIT_COMMON_DIR", other + "/.git"},
                                       {"GIT_WORK_TREE", other},
                                       {"GIT_CEILING_DIRECTORIES", pack}}};
  CHECK(lock_once(pack, setup).ended == exited(0));
  CHECK(blocks_in(exclude_of(other)) == 0);
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("a lock file that is tracked stays tracked and as it was") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  write_file(pack + "/.grex-lock", "tracked\n");
  git(pack, "add --force .grex-lock");
  git(pack, "commit --quiet --message=lock");
  CHECK(run_tool({"run", pack, "--", "true"}).ended == exited(0));
  CHECK(content_of(pack + "/.grex-lock") == "tracked\n");
  CHECK(git(pack, "ls-files .grex-lock") == ".grex-lock\n");
  CHECK(dirt_in(pack).empty());
}

TEST_CASE("--git-exclude off and GREX_LOCK_GIT_EXCLUDE leave info/exclude as it is") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  const std::string before = content_of(exclude_of(pack));
  const Setup off = {.environment = {{"GREX_LOCK_GIT_EXCLUDE", "off"}}};
  CHECK(lock_once(pack, off).ended == exited(0));
  CHECK(run_tool({"run", "--git-exclude", "off", "-t", "manifest", pack, "--", "true"}).ended == exited(0));
  CHECK(content_of(exclude_of(pack)) == before);
  CHECK_FALSE(dirt_in(pack).empty());

  fs::remove(pack + "/.grex/.grex-lock");
  CHECK(run_tool({"run", "--git-exclude", "auto", pack, "--", "true"}, off).ended == exited(0));
  CHECK(dirt_in(pack).empty());

  const Setup bad = {.environment = {{"GREX_LOCK_GIT_EXCLUDE", "never"}}};
  const Finished refused = lock_once(pack, bad);
  CHECK(refused.ended == exited(64));
  CHECK(refused.err.find("GREX_LOCK_GIT_EXCLUDE: unknown value 'never'") != std::string::npos);
  CHECK(run_tool({"run", "--git-exclude", "never", pack, "--", "true"}).ended == exited(64));
}

TEST_CASE("probe, wait and status write nothing for git") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  const std::string before = content_of(exclude_of(pack));
  const auto look = [&pack] {
    run_tool({"probe", pack});
    run_tool({"wait", "-w", "10ms", pack});
    run_tool({"status", pack});
  };
  look();
  const Fd lock = lock_as_grex(pack + "/.grex-lock");
  look();
  CHECK(content_of(exclude_of(pack)) == before);
}

TEST_CASE("tiers --gitignore prints the patterns of the block") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  const std::string patterns = run_tool({"tiers", "--gitignore"}).out;
  CHECK(count(patterns, "\n") == 12);
  write_file(pack + "/.gitignore", patterns);
  CHECK(run_tool({"run", "--git-exclude", "off", "--layout", "both", pack, "--", "true"}).ended == exited(0));
  CHECK(dirt_in(pack) == "?? .gitignore\n");
  CHECK(lock_once(pack).ended == exited(0));
  CHECK(content_of(exclude_of(pack)).find("\n" + patterns + "# END grex-lock\n") != std::string::npos);

  const json document = json::parse(run_tool({"tiers", "--gitignore", "--json"}).out);
  CHECK(document["gitignore"].size() == 12);
  CHECK(document["gitignore"][0] == ".grex-lock");
  CHECK(run_tool({"tiers", "--gitignore", pack}).ended == exited(64));
}

TEST_CASE("an info/exclude that can't be written is one warning, for a pack of grex only, and no error") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  fs::create_hard_link(exclude_of(pack), dir / "second");
  check_left_alone(pack, dir / "second", "has a second hard link");
  const auto warnings = [](std::initializer_list<std::string> words) { return warnings_in(run_tool(words)); };
  CHECK(warnings({"run", "--layout", "both", "-l", "manifest:" + pack, pack, "--", "true"}) == 1);
  CHECK(warnings({"run", "-q", pack, "--", "true"}) == 0);
  CHECK(warnings({"run", "--git-exclude", "off", pack, "--", "true"}) == 0);
  fs::remove(pack + "/.grex/pack.yaml");
  CHECK(warnings({"run", pack, "--", "true"}) == 0);
  CHECK(blocks_in(dir / "second") == 0);
}

TEST_CASE("a process that keeps info/exclude locked keeps no lock waiting") {
  const TempDir dir;
  const std::string pack = make_pack(dir, "pack");
  const Fd lock = lock_as_grex(exclude_of(pack));
  check_left_alone(pack, exclude_of(pack), "another process keeps it locked");
}

// SECURITY.md: lead git's `info/exclude` elsewhere with symlinks | not followed; a warning
TEST_CASE("no symlink leads elsewhere from .git on") {
  const TempDir dir;
  const std::string other = make_pack(dir, "other");
  const std::string target = exclude_of(other);

  const std::string link = make_pack(dir, "link");
  fs::remove_all(link + "/.git");
  fs::create_directory_symlink(other + "/.git", link + "/.git");
  check_left_alone(link, target, "a symbolic link to ");

  const std::string info = make_pack(dir, "info");
  fs::remove_all(info + "/.git/info");
  fs::create_directory_symlink(other + "/.git/info", info + "/.git/info");
  check_left_alone(info, target, "leads through a symbolic link;");

  const std::string exclude = make_pack(dir, "exclude");
  fs::remove(exclude_of(exclude));
  fs::create_symlink(target, exclude_of(exclude));
  check_left_alone(exclude, target, "a symbolic link to ");

  const std::string file = make_pack(dir, "file");
  fs::remove_all(file + "/.git");
  fs::create_directory_symlink(other, dir / "way");
  write_file(file + "/.git", "gitdir: ../way/.git\n");
  check_left_alone(file, target, "leads through a symbolic link;");

  const std::string no_directory = make_pack(dir, "no-directory");
  fs::remove_all(no_directory + "/.git/info");
  write_file(no_directory + "/.git/info", "");
  check_left_alone(no_directory, target, "not a directory;");

  const std::string fifo = make_pack(dir, "fifo");
  fs::remove(exclude_of(fifo));
  REQUIRE(::mkfifo(exclude_of(fifo).c_str(), 0666) == 0);
  const Finished finished = lock_once(fifo);
  CHECK(finished.ended == exited(0));
  CHECK(finished.err.find(": not a regular file; grex may skip") != std::string::npos);
}

TEST_CASE("a .git file that leads nowhere, or is none of git's, is a warning") {
  const TempDir dir;
  for (const std::string content : {"gitdir: gone", "gitdir: .", "gitdir: ", "nothing", ""}) {
    CAPTURE(content);
    const std::string pack = dir.make("pack");
    dir.make("pack/.grex");
    write_file(pack + "/.grex/pack.yaml", "");
    write_file(pack + "/.git", content);
    const Finished finished = lock_once(pack);
    CHECK(finished.ended == exited(0));
    CHECK(warnings_in(finished) == 1);
  }
}

// SECURITY.md: make root write to another user's repository | root leaves it alone; a warning
TEST_CASE("another owner's repository is left alone, by root too") {
  if (!can_become_others()) return;
  const TempDir dir;
  const std::string theirs = make_pack(dir, "theirs");
  const std::string ours = make_pack(dir, "ours");
  give_to(nobody, theirs);
  check_left_alone(theirs, exclude_of(theirs), "belongs to another user");
  fs::remove(theirs + "/.grex-lock");
  CHECK(lock_once(theirs, as_user(nobody)).ended == exited(0));
  CHECK(blocks_in(exclude_of(theirs)) == 1);
  CHECK(lock_once(theirs).err.empty());
  write_file(exclude_of(theirs), "");

  // Their directory, with a .git file that names a repository of root's.
  fs::rename(theirs + "/.git", dir / "kept");
  write_file(theirs + "/.git", "gitdir: " + ours + "/.git\n");
  give_to(nobody, theirs);
  check_left_alone(theirs, exclude_of(ours), "belongs to another user");

  // A file of root's that names their repository.
  write_file(ours + "/linked", "gitdir: " + dir.path() + "/kept\n");
  fs::rename(ours + "/.git", dir / "ours.git");
  fs::rename(ours + "/linked", ours + "/.git");
  check_left_alone(ours, dir / "kept/info/exclude", "belongs to another user");

  // The other way round.
  const std::string root_s = make_pack(dir, "root");
  ::chmod(root_s.c_str(), 0777);
  ::chmod((root_s + "/.grex").c_str(), 0777);
  const std::string before = content_of(exclude_of(root_s));
  const Finished finished = lock_once(root_s, as_nobody());
  CHECK(finished.ended == exited(0));
  CHECK(warnings_in(finished) == 1);
  CHECK(content_of(exclude_of(root_s)) == before);
}
