// Missing permissions: which path the error names, whose it is, and what helps.

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

const char* const flat_only = "use --layout flat, which does not exclude grex 1.3.2 and later";
const char* const nested_only = "use --layout nested, which does not exclude grex 1.1.0 to 1.3.1";

// A directory of root with `pack`, which has a clone's lock in the nested layout, too.
struct PackPlace : TempDir {
  PackPlace() : pack(make("pack")) { REQUIRE(::chmod(path().c_str(), 0755) == 0); }
  std::string pack;

  // Creates `.grex/pack.yaml` in the directory above the pack: it is the meta directory.
  void make_meta() const {
    make(".grex");
    write_file(*this / ".grex/pack.yaml", "");
  }
};

void set_mode(const std::string& path, mode_t mode) { REQUIRE(::chmod(path.c_str(), mode) == 0); }

void change_owner(const std::string& path, unsigned owner) { REQUIRE(::lchown(path.c_str(), owner, owner) == 0); }

void check_error(const Finished& finished, int status, const std::string& message) {
  CHECK(finished.ended == exited(status));
  CHECK(finished.out.empty());
  CHECK(finished.err == message);
}

// One lock in one layout, and the first path below the pack that must be created for it.
struct Case {
  std::string layout;
  std::string tier;
  std::string path;
};

const Case cases[] = {
    {"flat", "workspace-sync", ".grex.sync.lock"},
    {"flat", "semaphore", ".grex"},
    {"flat", "per-pack", ".grex-lock"},
    {"flat", "backend", ".grex-backend-clone.lock"},
    {"flat", "manifest", ".grex"},
    {"nested", "workspace-sync", ".grex"},
    {"nested", "semaphore", ".grex"},
    {"nested", "per-pack", ".grex"},
    {"nested", "manifest", ".grex"},
    {"both", "workspace-sync", ".grex"},
    {"both", "semaphore", ".grex"},
    {"both", "per-pack", ".grex"},
    {"both", "manifest", ".grex"},
};

std::string path_of(const Case& lock, const std::string& pack) {
  return lock.tier == "backend" ? pack + "/clone" : pack;
}

}  // namespace

TEST_CASE("an unwritable pack is 73 at every tier and in every layout, and the error names what can't be created") {
  if (!can_become_others()) return;
  const PackPlace place;
  set_mode(place.pack, 0555);
  for (const Case& lock : cases) {
    CAPTURE(lock.layout);
    CAPTURE(lock.tier);
    const std::string path = path_of(lock, place.pack);
    for (const Words& words :
         {grex_lock({"run", "--layout", lock.layout, "-t", lock.tier, path, "--", "echo", "ran"}),
          grex_lock({"run", "-s", "--no-record", "--layout", lock.layout, "-t", lock.tier, path, "--", "echo", "ran"}),
          grex_lock({"hold", "-n", "--layout", lock.layout, "-t", lock.tier, path})}) {
      check_error(finish(words, as_user(user)), 73,
                  "grex-lock: cannot create: " + place.pack + "/" + lock.path +
                      ": Permission denied\ngrex-lock: the directory belongs to root, mode 0555\n");
    }
    // What exists nowhere yet is free.
    CHECK(run_tool({"probe", "--layout", lock.layout, "-t", lock.tier, path}, as_user(user)).ended == exited(0));
    CHECK(run_tool({"wait", "--layout", lock.layout, "-t", lock.tier, path}, as_user(user)).ended == exited(0));
  }
  CHECK(std::filesystem::is_empty(place.pack));
}

TEST_CASE("a clone's lock that can't be created below its meta directory is 73, too") {
  if (!can_become_others()) return;
  const PackPlace place;
  place.make_meta();
  change_owner(place.pack, user);
  const auto run = [&](const std::string& layout) {
    return run_tool({"run", "--layout", layout, "-t", "backend", place.pack + "/clone", "--", "echo", "ran"},
                    as_user(user));
  };
  const std::string refused = "grex-lock: cannot create: " + place / ".grex/locks" +
                              ": Permission denied\ngrex-lock: the directory belongs to root, mode 0755";
  check_error(run("nested"), 73, refused + "\n");
  check_error(run("both"), 73, refused + "; or " + flat_only + "\n");
  CHECK(run("flat").out == "ran\n");
  // The directories above it exist.
  place.make(".grex/locks/pack");
  check_error(run("both"), 73,
              "grex-lock: cannot create: " + place / ".grex/locks/pack/clone.backend.lock" +
                  ": Permission denied\ngrex-lock: the directory belongs to root, mode 0755; or " + flat_only + "\n");
}

TEST_CASE("if one file of a lock can't be had, and the other can, the hint names the layout that locks that one") {
  if (!can_become_others()) return;
  const PackPlace place;
  const auto run = [&](const std::string& layout) {
    return run_tool({"run", "--layout", layout, place.pack, "--", "echo", "ran"}, as_user(user));
  };
  const auto refused = [&](const std::string& name, const std::string& mode, const std::string& hint) {
    return "grex-lock: cannot create: " + place.pack + "/" + name +
           ": Permission denied\ngrex-lock: the directory belongs to root, mode " + mode + "; or " + hint + "\n";
  };
  // The nested one can't be created.
  change_owner(place.pack, user);
  place.make("pack/.grex");
  check_error(run("both"), 73, refused(".grex/.grex-lock", "0755", flat_only));
  CHECK(run("flat").out == "ran\n");
  // The same, while the flat one exists, but could not be created.
  std::filesystem::remove(place.pack + "/.grex");
  change_owner(place.pack, 0);
  check_error(run("both"), 73, refused(".grex", "0755", flat_only));
  CHECK(run("flat").out == "ran\n");
  // Only the nested one can be created.
  std::filesystem::remove(place.pack + "/.grex-lock");
  change_owner(place.make("pack/.grex"), user);
  check_error(run("both"), 73, refused(".grex-lock", "0755", nested_only));
  CHECK(run("nested").out == "ran\n");
  // That is no help if the other one may not be opened, either.
  set_mode(place.pack + "/.grex/.grex-lock", 0);
  check_error(run("both"), 73,
              "grex-lock: cannot create: " + place.pack +
                  "/.grex-lock: Permission denied\ngrex-lock: the directory belongs to root, mode 0755\n");
}

TEST_CASE("a guard's file that can't be created is 73") {
  if (!can_become_others()) return;
  const PackPlace place;
  place.make_meta();
  set_mode(place / ".grex", 0555);
  change_owner(place.pack, user);
  const Finished finished = run_tool({"run", "--guard", place.pack, "--", "echo", "ran"}, as_user(user));
  CHECK(finished.ended == exited(73));
  CHECK(finished.out.empty());
  // Before that, it may say that the search for more workspaces stopped.
  CHECK(finished.err.ends_with("grex-lock: cannot create: " + place / ".grex.sync.lock" +
                               ": Permission denied\ngrex-lock: the directory belongs to root, mode 0755\n"));
}

TEST_CASE("on a read-only file system, every lock without a file is 73") {
  const TempDir dir;
  const std::string pack = dir.make("pack");
  const std::string mounted = "mount --bind " + pack + " " + pack + " && mount -o remount,ro,bind " + pack + " && cd " +
                              pack + " && exec \"$@\"";
  const auto on_read_only = [&](const Words& run) {
    Words words = {"unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted, "sh"};
    words.insert(words.end(), run.begin(), run.end());
    return finish(words);
  };
  for (const Case& lock : cases) {
    CAPTURE(lock.layout);
    CAPTURE(lock.tier);
    check_error(on_read_only(grex_lock(
                    {"run", "--layout", lock.layout, "-t", lock.tier, path_of(lock, pack), "--", "echo", "ran"})),
                73, "grex-lock: cannot create: " + pack + "/" + lock.path + ": Read-only file system\n");
  }
  // A file that exists can be locked.
  write_file(pack + "/.grex-lock", "");
  check_error(on_read_only(grex_lock({"run", pack, "--", "echo", "ran"})), 73,
              "grex-lock: cannot create: " + pack + "/.grex: Read-only file system\ngrex-lock: " + flat_only + "\n");
  CHECK(on_read_only(grex_lock({"run", "--layout", "flat", pack, "--", "echo", "ran"})).out == "ran\n");
}

TEST_CASE("--create names the first directory that can't be created") {
  if (!can_become_others()) return;
  const PackPlace place;
  check_error(run_tool({"run", "--create", place.pack + "/a/b/c", "--", "echo", "ran"}, as_user(user)), 73,
              "grex-lock: cannot create: " + place.pack +
                  "/a: Permission denied\ngrex-lock: the directory belongs to root, mode 0755\n");
}

TEST_CASE("a lock file that may not be read is 77, and the error says whose it is and what to do") {
  if (!can_become_others()) return;
  const PackPlace place;
  change_owner(place.pack, user);
  // As root makes it under umask 077, if it may not take on other users' ids.
  const std::string file = place.pack + "/.grex-lock";
  write_file(file, "");
  set_mode(file, 0600);
  const std::string refused = "grex-lock: no permission: " + file + ": belongs to root, mode 0600\n" +
                              "grex-lock: ask root for read permission: chmod a+r " + file;
  for (const Words& words : {grex_lock({"run", place.pack, "--", "echo", "ran"}), grex_lock({"hold", place.pack}),
                             grex_lock({"probe", place.pack}), grex_lock({"wait", place.pack})}) {
    CAPTURE(words[1]);
    check_error(finish(words, as_user(user)), 77, refused + "; or " + nested_only + "\n");
  }
  check_error(run_tool({"run", "--layout", "flat", place.pack, "--", "echo", "ran"}, as_user(user)), 77,
              refused + "\n");
  const json document = json::parse(run_tool({"status", "--json", place.pack}, as_user(user)).out);
  // The kernel's list shows that, unless it is so long that it must be read in parts.
  const json& lock = document["locks"][2];
  const bool is_unknown = lock["state"] == "unknown" && lock["reason"].is_string();
  CHECK((lock["state"] == "free" || is_unknown));
  set_mode(file, 0644);
  CHECK(run_tool({"run", place.pack, "--", "echo", "ran"}, as_user(user)).out == "ran\n");
  // One's own.
  change_owner(file, user);
  set_mode(file, 0);
  check_error(run_tool({"run", "--layout", "flat", place.pack, "--", "echo", "ran"}, as_user(user)), 77,
              "grex-lock: no permission: " + file + ": belongs to uid 65533, mode 0000\ngrex-lock: try: chmod u+r " +
                  file + "\n");
}

TEST_CASE("a directory that may not be entered is 77, and the error names it and says whose it is") {
  if (!can_become_others()) return;
  const PackPlace place;
  place.make("pack/.grex");
  set_mode(place.pack + "/.grex", 0700);
  change_owner(place.pack, user);
  const auto run = [&](const std::string& layout) {
    return run_tool({"run", "--layout", layout, place.pack, "--", "echo", "ran"}, as_user(user));
  };
  const std::string refused = "grex-lock: no permission: " + place.pack + "/.grex: Permission denied\n" +
                              "grex-lock: the directory belongs to root, mode 0700";
  check_error(run("nested"), 77, refused + "\n");
  check_error(run("both"), 77, refused + "; or " + flat_only + "\n");
  // The pack itself, and one above it.
  change_owner(place.pack, 0);
  set_mode(place.pack, 0700);
  for (const char* const command : {"probe", "status", "tiers"}) {
    check_error(run_tool({command, place.pack + "/below/deep"}, as_user(user)), 77,
                "grex-lock: no permission: " + place.pack + "/below/deep: Permission denied\ngrex-lock: " + place.pack +
                    " belongs to root, mode 0700\n");
  }
  check_error(run("flat"), 77,
              "grex-lock: no permission: " + place.pack +
                  ": Permission denied\ngrex-lock: the directory belongs to root, mode 0700\n");
  const std::string status = run_tool({"status", "--layout", "flat", place.pack}, as_user(user)).out;
  CHECK(status.find("unknown  " + place.pack + "/.grex-lock\n  " + place.pack +
                    ": Permission denied: the directory belongs to root, mode 0700\n") != std::string::npos);
}
