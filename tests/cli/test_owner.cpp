// What root makes in other users' directories, and which steps of PATH it refuses.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

constexpr unsigned nobody = 65534;
constexpr unsigned other = 65533;

std::string give(const std::string& path, unsigned user) {
  REQUIRE(::lchown(path.c_str(), user, user) == 0);
  return path;
}

// A directory of root that others may search.
struct OwnerPlace : TempDir {
  OwnerPlace() { REQUIRE(::chmod(path().c_str(), 0755) == 0); }

  std::string directory_of(unsigned user, const std::string& name) const { return give(make(name), user); }

  std::string link_of(unsigned user, const std::string& name, const std::string& target) const {
    std::filesystem::create_symlink(target, *this / name);
    return give(*this / name, user);
  }
};

// What is below a directory and is not the user's, with the user's group; one a line.
std::string not_of(unsigned user, const std::string& directory) {
  std::string names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat st {};
    REQUIRE(::lstat(entry.path().c_str(), &st) == 0);
    if (st.st_uid != user || st.st_gid != user) names += entry.path().string() + "\n";
  }
  return names;
}

std::string listing(const std::string& directory) { return finish({"find", directory, "-mindepth", "1"}).out; }

// Without these capabilities, "-setuid,-setgid" for example.
Words without(const std::string& capabilities, const Words& argv) {
  Words words = {"setpriv", "--bounding-set=" + capabilities};
  words.insert(words.end(), argv.begin(), argv.end());
  return words;
}

void check_refused(const Finished& finished, const std::string& step) {
  CHECK(finished.ended == exited(77));
  CHECK(finished.out.empty());
  CHECK(finished.err == "grex-lock: unsafe path: " + step +
                            ": leads from one user's directory or link to another user's\n"
                            "grex-lock: if you trust that user, change to the directory, and use '.' as PATH\n");
}

void check_runs(const std::string& path, const Setup& setup = {}) {
  CAPTURE(path);
  const Finished finished = run_tool({"run", path, "--", "echo", "ran"}, setup);
  CHECK(finished.err.empty());
  CHECK(finished.out == "ran\n");
}

// Keeps exchanging two names.
std::jthread exchanging(const std::string& one, const std::string& two) {
  return std::jthread([one, two](const std::stop_token& stop) {
    while (!stop.stop_requested()) ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), RENAME_EXCHANGE);
  });
}

}  // namespace

// SECURITY.md: make root create files in their directory that they couldn't create | root creates them with the rights
// of that directory's owner: they are the owner's, and what the owner couldn't create is not created
TEST_CASE("what root makes in another user's pack is that user's, at every tier and in every layout") {
  if (!can_become_others()) return;
  for (const std::string layout : {"flat", "nested", "both"}) {
    for (const std::string tier : {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"}) {
      CAPTURE(layout);
      CAPTURE(tier);
      const OwnerPlace place;
      const std::string pack = place.directory_of(nobody, "pack");
      const bool is_backend = tier == "backend";
      if (is_backend) {
        give(place.make("pack/.grex"), nobody);
        write_file(pack + "/.grex/pack.yaml", "");
        give(pack + "/.grex/pack.yaml", nobody);
      }
      const std::string path = is_backend ? pack + "/clone" : pack;
      const auto run = [&](const Setup& setup) {
        return run_tool({"run", "-n", "--layout", layout, "-t", tier, path, "--", "echo", "ran"}, setup);
      };
      CHECK(run({}).out == "ran\n");
      CHECK_FALSE(listing(pack).empty());
      CHECK(not_of(nobody, pack) == "");
      CHECK(run(as_nobody()).out == "ran\n");
      const Words write = {"sh", "-c", "echo x >>\"$0/.grex/events.jsonl\"", pack};
      Words words = grex_lock({"run", "-t", "manifest", pack, "--"});
      words.insert(words.end(), write.begin(), write.end());
      CHECK(finish(words, as_nobody()).ended == exited(0));
      CHECK(content_of(pack + "/.grex/events.jsonl") == "x\n");
    }
  }
}

TEST_CASE("the queue for a slot is that user's, too, if root is the first who waits") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string pack = place.directory_of(nobody, "pack");
  const auto run = [&](const std::string& command) {
    return grex_lock({"run", "-w1ms", "-t", "semaphore", "--slots", "2", pack, "--", "sh", "-c", command});
  };
  Process one(run("echo; read -r line"));
  Process two(run("echo; read -r line"));
  one.line();
  two.line();
  CHECK(finish(run("true")).ended == exited(75));
  CHECK(listing(pack).find("/.grex.slot-queue-2.lock\n") != std::string::npos);
  CHECK(not_of(nobody, pack) == "");
}

TEST_CASE("--create makes directories as the owner of the one above them") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string home = place.directory_of(nobody, "home");
  CHECK(run_tool({"run", "--create", home + "/a/../b/./c", "--", "true"}).ended == exited(0));
  CHECK(exists(home + "/a"));
  CHECK(exists(home + "/b/c/.grex-lock"));
  CHECK(run_tool({"run", "--create", "-t", "backend", home + "/ws/clone", "--", "true"}).ended == exited(0));
  CHECK(exists(home + "/ws"));
  CHECK(not_of(nobody, home) == "");
  CHECK(run_tool({"run", "--create", "own/pack/", "--", "true"}, in(place.path())).ended == exited(0));
  CHECK(exists(place / "own/pack/.grex-lock"));
  CHECK(not_of(0, place / "own") == "");
  write_file(home + "/file", "");
  CHECK(run_tool({"run", "--create", home + "/file/pack", "--", "true"}).ended == exited(66));
}

// SECURITY.md: make root create files in their directory that they couldn't create | root creates them with the rights
// of that directory's owner: they are the owner's, and what the owner couldn't create is not created
TEST_CASE("root makes nothing in a directory that its owner may not write") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string pack = place.directory_of(nobody, "pack");
  REQUIRE(::chmod(pack.c_str(), 0575) == 0);
  const Finished file = run_tool({"run", "--layout", "flat", pack, "--", "echo", "ran"});
  CHECK(file.ended == exited(73));
  CHECK(file.err == "grex-lock: cannot create: " + pack +
                        "/.grex-lock: the owner of the directory can't: Permission denied\n"
                        "grex-lock: in another user's directory, root makes only what that user could\n");
  const Finished directory = run_tool({"run", "-t", "manifest", pack, "--", "echo", "ran"});
  CHECK(directory.ended == exited(73));
  CHECK(directory.err.find("/pack/.grex: the owner of the directory can't: ") != std::string::npos);
  const Finished created = run_tool({"run", "--create", pack + "/a/b", "--", "echo", "ran"});
  CHECK(created.ended == exited(73));
  CHECK(created.err.starts_with("grex-lock: cannot create: " + pack + "/a: the owner of the directory can't: "));
  CHECK(listing(pack).empty());
  // What is there already can be locked.
  write_file(pack + "/.grex-lock", "");
  const Finished locked = run_tool({"run", "--layout", "flat", pack, "--", "echo", "ran"});
  CHECK(locked.out == "ran\n");
}

TEST_CASE("in root's own directories, sticky ones among them, what root makes is root's") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  place.make("pack");
  REQUIRE(::chmod((place / "pack").c_str(), 01777) == 0);
  check_runs(place / "pack");
  CHECK(run_tool({"run", "-t", "manifest", place / "pack", "--", "true"}).ended == exited(0));
  CHECK(not_of(0, place / "pack") == "");
  check_runs(place.link_of(0, "link", place / "pack"));
  const std::string theirs = place.directory_of(nobody, "theirs");
  REQUIRE(::chmod(theirs.c_str(), 01777) == 0);
  check_runs(theirs);
  CHECK(not_of(nobody, theirs) == "");
}

TEST_CASE("the command gets root's own ids, groups, capabilities and parent-death signal") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string show = "id -u; id -g; id -G; grep -E '^(Cap|Groups)' /proc/self/status; exec setpriv --dump";
  const Setup told = {.before_exec = [] { ::prctl(PR_SET_PDEATHSIG, SIGUSR1); }};
  const Words groups = {"setpriv", "--groups=0,7,9"};
  Words plain = groups;
  plain.insert(plain.end(), {"sh", "-c", show});
  Words locked = groups;
  const Words run = grex_lock({"run", "--no-fork", place.directory_of(nobody, "pack"), "--", "sh", "-c", show});
  locked.insert(locked.end(), run.begin(), run.end());
  const Finished finished = finish(locked, told);
  CHECK(finished.out.find("0 7 9\n") != std::string::npos);
  CHECK(finished.out.find("Parent death signal: USR1\n") != std::string::npos);
  CHECK(finished.out == finish(plain, told).out);
}

TEST_CASE("root without CAP_SYS_PTRACE still sees and releases its hold in another user's pack") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string pack = place.directory_of(nobody, "pack");
  Process hold(without("-sys_ptrace", grex_lock({"hold", pack})));
  hold.line();
  CHECK(not_of(nobody, pack) == "");
  const json document = json::parse(finish(without("-sys_ptrace", grex_lock({"status", "--json", pack}))).out);
  CHECK(document["locks"][2]["holders"][0]["pid"] == hold.pid());
  CHECK(document["locks"][2]["holders"][0]["command"].size() > 1);
  CHECK(finish(without("-sys_ptrace", grex_lock({"release", pack}))).ended == exited(0));
  CHECK(hold.wait() == exited(0));
}

TEST_CASE("root that may not take on other users' ids makes files of its own") {
  if (!can_become_others()) return;
  for (const char* const missing : {"-setuid", "-setgid", "-setuid,-setgid"}) {
    CAPTURE(missing);
    const OwnerPlace place;
    const std::string pack = place.directory_of(nobody, "pack");
    CHECK(finish(without(missing, grex_lock({"run", pack, "--", "echo", "ran"}))).out == "ran\n");
    CHECK(not_of(0, pack) == "");
  }
}

TEST_CASE("in a user namespace, an owner that is not mapped counts as root") {
  const OwnerPlace place;
  const std::string pack = place.make("pack");
  if (::geteuid() == 0) give(pack, nobody);
  const auto inside = [&](const std::string& path, const Setup& setup) {
    Words words = {"unshare", "--user", "--map-root-user"};
    const Words run = grex_lock({"run", path, "--", "echo", "ran"});
    words.insert(words.end(), run.begin(), run.end());
    return finish(words, setup);
  };
  // The directories above belong to root, who is not mapped.
  CHECK(inside(pack, as_nobody()).out == "ran\n");
  if (!can_become_others()) return;
  CHECK(not_of(nobody, pack) == "");
  // Only root is mapped; so the owner of the pack isn't.
  const std::string theirs = place.directory_of(nobody, "theirs");
  REQUIRE(::chmod(theirs.c_str(), 0777) == 0);
  CHECK(inside(theirs, {}).out == "ran\n");
  CHECK(not_of(0, theirs) == "");
}

// SECURITY.md: lead root elsewhere with a link or a moved directory on the way to PATH | refused, 77: no step may lead
// from one user's directory or link to another user's
TEST_CASE("a user's link to root's directory is refused by every command, and nothing is made there") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string home = place.directory_of(nobody, "home");
  const std::string victim = place.make("victim");
  place.make("victim/below");
  const std::string link = place.link_of(nobody, "home/link", victim);
  const std::string before = listing(victim);
  for (const Words& words : {
           grex_lock({"run", link, "--", "echo", "ran"}),
           grex_lock({"run", link + "/below", "--", "echo", "ran"}),
           grex_lock({"run", "--create", link + "/new/pack", "--", "echo", "ran"}),
           grex_lock({"run", "-t", "backend", link + "/below", "--", "echo", "ran"}),
           grex_lock({"run", "-t", "backend", link + "/new", "--", "echo", "ran"}),
           grex_lock({"hold", "--for", "0", link}),
           grex_lock({"wait", "-n", link}),
           grex_lock({"probe", link}),
           grex_lock({"release", link}),
           grex_lock({"status", link}),
           grex_lock({"status", "-r", link}),
           grex_lock({"tiers", link}),
       }) {
    CAPTURE(words[1]);
    check_refused(finish(words), link);
  }
  const Finished relative = run_tool({"run", "home/link/below", "--", "true"}, in(place.path()));
  check_refused(relative, "home/link");
  const json error = json::parse(run_tool({"probe", "--json", link}).out)["error"];
  CHECK(error["kind"] == "unsafe-file");
  CHECK(error["path"] == link);
  CHECK(listing(victim) == before);
  // The user itself may.
  CHECK(run_tool({"status", link}, as_nobody()).ended == exited(0));
}

// SECURITY.md: lead root elsewhere with a link or a moved directory on the way to PATH | refused, 77: no step may lead
// from one user's directory or link to another user's
TEST_CASE("a step from one user's directory or link to another's is refused for root") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string home = place.directory_of(nobody, "home");
  const auto refused = [](const std::string& path, const std::string& step) {
    CAPTURE(path);
    check_refused(run_tool({"run", path, "--", "echo", "ran"}), step);
  };
  for (const unsigned owner : {0U, other}) {
    const std::string name = "of" + std::to_string(owner);
    const std::string below = place.directory_of(owner, "home/" + name);
    place.directory_of(nobody, "home/" + name + "/again");
    refused(below, below);
    refused(below + "/again", below);
    const std::string beside = place.directory_of(owner, name);
    const std::string link = place.link_of(nobody, "link-" + name, name);
    refused(link, link);
    refused(link + "/", link);
    refused(place.link_of(0, "link-to-link-" + name, "link-" + name), link);
    refused(place.link_of(owner, "home/link-" + name, home), place / "home/link-" + name);
  }
  refused(home + "/..", home + "/..");
  refused(home + "/../home", home + "/..");
  refused(place.link_of(nobody, "home/up", "../home"), home + "/..");
  refused(place.link_of(nobody, "home/root", "/"), place / "home/root");
}

TEST_CASE("a path within what one user owns, and root's own links, are as ever") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  const std::string home = place.directory_of(nobody, "home");
  place.directory_of(nobody, "home/a");
  const std::string pack = place.directory_of(nobody, "home/a/pack");
  check_runs(home + "/a/../a/./pack//");
  check_runs(place.link_of(nobody, "home/relative", "a/pack"));
  check_runs(place.link_of(nobody, "home/absolute", pack));
  check_runs(place.link_of(nobody, "home/a/up", "../relative"));
  check_runs(place.link_of(0, "roots", "home/absolute"));
  check_runs("pack", in(home + "/a"));
  check_runs("../a/pack", in(home + "/a"));
  place.make("sticky");
  REQUIRE(::chmod((place / "sticky").c_str(), 01777) == 0);
  check_runs(place.link_of(nobody, "sticky/link", pack));
  // The working directory is root's choice, whatever is above it.
  place.directory_of(0, "home/mounted");
  check_runs(".", in(home + "/mounted"));
  CHECK(exists(home + "/mounted/.grex-lock"));
  CHECK(not_of(nobody, home + "/a") == "");
}

TEST_CASE("links that lead in a circle are not found, and neither is a path through a file") {
  const OwnerPlace place;
  std::filesystem::create_symlink("two", place / "one");
  std::filesystem::create_symlink("one", place / "two");
  const Finished loop = run_tool({"run", place / "one/pack", "--", "true"});
  CHECK(loop.ended == exited(66));
  CHECK(
      loop.err.starts_with("grex-lock: not found: " + (place / "one/pack") + ": Too many levels of symbolic links\n"));
  write_file(place / "file", "");
  for (const char* const path : {"file", "file/", "file/.", "file/pack", "file/.."}) {
    CAPTURE(path);
    const Finished finished = run_tool({"run", path, "--", "true"}, in(place.path()));
    CHECK(finished.ended == exited(66));
    const bool is_itself = std::string(path).ends_with("file") || std::string(path).ends_with("file/");
    const std::string message = is_itself ? "not a directory: " + std::string(path) + "\n"
                                          : "not found: " + std::string(path) + ": file is not a directory\n";
    CHECK(finished.err.starts_with("grex-lock: " + message));
  }
}

TEST_CASE("a link in /proc leads where the kernel says, and no further than its owner may lead") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  place.make("roots");
  check_runs("/proc/self/cwd", in(place / "roots"));
  CHECK(exists(place / "roots/.grex-lock"));
  const std::string pack = place.directory_of(nobody, "pack");
  for (const std::string& directory : {pack, place.path()}) {
    Setup setup = as_nobody();
    setup.directory = directory;
    Process process({"sh", "-c", "echo; read -r line"}, setup);
    process.line();
    const std::string link = "/proc/" + std::to_string(process.pid()) + "/cwd";
    if (directory == pack) {
      check_runs(link);
    } else {
      check_refused(run_tool({"run", link, "--", "echo", "ran"}), link);
    }
  }
}

// SECURITY.md: lead root elsewhere with a link or a moved directory on the way to PATH | refused, 77: no step may lead
// from one user's directory or link to another user's
TEST_CASE("a link that replaces a user's directory at any moment does not lead root elsewhere") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  place.directory_of(nobody, "home");
  const std::string pack = place.directory_of(nobody, "home/pack");
  const std::string victim = place.make("victim");
  const std::jthread attacker = exchanging(pack, place.link_of(nobody, "home/link", victim));
  int locked = 0;
  int refused = 0;
  // Until both outcomes have occurred.
  while (locked + refused < tries(100) || locked == 0 || refused == 0) {
    const Finished finished = run_tool({"run", "--create", pack, "--", "true"});
    const bool is_refused = finished.ended != exited(0);
    ++(is_refused ? refused : locked);
    REQUIRE(listing(victim).empty());
    REQUIRE(locked + refused < 10'000);
  }
}

// SECURITY.md: lead root elsewhere with a link or a moved directory on the way to PATH | refused, 77: no step may lead
// from one user's directory or link to another user's
TEST_CASE("a link swapped in at any moment makes root write in no repository or workspace of its own") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  for (const char* const name : {"victim/below", "victim/.grex", "victim/.git/objects", "victim/.git/refs"}) {
    place.make(name);
  }
  write_file(place / "victim/.grex/pack.yaml", "");
  write_file(place / "victim/.git/HEAD", "ref: refs/heads/main\n");
  const std::string before = listing(place / "victim");
  for (const char* const name : {"home", "home/.grex"}) place.directory_of(nobody, name);
  write_file(place / "home/.grex/pack.yaml", "");
  const std::string pack = place.directory_of(nobody, "home/pack");
  const std::string link = place.link_of(nobody, "home/link", place / "victim/below");
  const std::jthread attacker = exchanging(pack, link);
  int locked = 0;
  int refused = 0;
  while (locked + refused < tries(200) || locked == 0 || refused == 0) {
    // A new lock file makes grex-lock look for the repository.
    for (const std::string& directory : {pack, link}) ::unlink((directory + "/.grex-lock").c_str());
    const bool is_refused = run_tool({"run", "--guard", pack, "--", "true"}).ended != exited(0);
    ++(is_refused ? refused : locked);
    REQUIRE(listing(place / "victim") == before);
    REQUIRE(locked + refused < 10'000);
  }
}

// SECURITY.md: lead root elsewhere with a link or a moved directory on the way to PATH | refused, 77: no step may lead
// from one user's directory or link to another user's
TEST_CASE("as root, status -r lists nothing behind a link that is swapped in at any moment") {
  if (!can_become_others()) return;
  const OwnerPlace place;
  for (const char* const name : {"home", "home/d", "home/d/below", "home/d/below/pack"}) {
    place.directory_of(nobody, name);
  }
  write_file(place / "home/d/below/pack/.grex-lock", "");
  place.make("victim/below/pack");
  write_file(place / "victim/below/pack/.grex.sync.lock", "");
  const std::jthread attacker = exchanging(place / "home/d", place.link_of(nobody, "home/link", place / "victim"));
  int listed = 0;
  int refused = 0;
  while (listed + refused < tries(200) || listed == 0 || refused == 0) {
    for (const std::string& top : {place / "home", place / "home/d/below"}) {
      const Finished finished = run_tool({"status", "-r", top});
      REQUIRE(finished.out.find(".grex.sync.lock") == std::string::npos);
      ++(finished.ended == exited(0) ? listed : refused);
    }
    REQUIRE(listed + refused < 10'000);
  }
}
