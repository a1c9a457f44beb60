#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "support/process.hpp"
#include "support/temp_dir.hpp"
#include "sys/file/walk.hpp"

using namespace grex::test;
using grex::sys::open_directory;
using grex::sys::walk_tree;

namespace {

struct Seen {
  std::set<std::string> files;
  std::set<std::string> directories;
  std::set<std::string> unreadable;
};

Seen walk(const std::string& top) {
  Seen seen;
  const auto walked = walk_tree(
      *open_directory(top),
      {.enters = [](std::string_view name) { return name != "closed"; },
       .enters_mount = [](const auto&...) { return false; },
       .on_directory = [&](const std::string& directory) { return seen.directories.insert(directory).second; },
       .on_file =
           [&](int, const std::string& directory, std::string_view name) {
             seen.files.insert(directory + (directory.ends_with('/') ? "" : "/") + std::string(name));
           },
       .on_unreadable = [&](const grex::Error& error) { seen.unreadable.insert(error.path); }});
  CHECK(walked);
  return seen;
}

}  // namespace

TEST_CASE("a walk finds every file below, but enters no excluded directory and follows no link") {
  const TempDir dir;
  dir.make("a/b/c");
  dir.make("closed/x");
  write_file(dir / "a/b/c/deep", "");
  write_file(dir / ".hidden", "");
  write_file(dir / "closed/x/unseen", "");
  REQUIRE(::symlink((dir / "a").c_str(), (dir / "link").c_str()) == 0);
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  const Seen seen = walk(dir.path());
  CHECK(seen.files == std::set<std::string>{dir / "a/b/c/deep", dir / ".hidden", dir / "link", dir / "fifo"});
  CHECK(seen.directories == std::set<std::string>{dir.path(), dir / "a", dir / "a/b", dir / "a/b/c"});
}

TEST_CASE("a directory with many files is read completely") {
  const TempDir dir;
  constexpr int many = 3000;  // more than one read returns
  for (int i = 0; i < many; ++i) write_file(dir / ("a-rather-long-name-of-a-file-" + std::to_string(i)), "");
  CHECK(walk(dir.path()).files.size() == many);
}

TEST_CASE("a walk of a tree that is deeper than descriptors may be open comes to its end and back") {
  const TempDir dir;
  std::set<std::string> files;
  std::string path = dir.path();
  constexpr int depth = 200;
  for (int i = 0; i < depth; ++i) {
    path += "/d";
    for (const char* const name : {"", "/a", "/z"}) {
      REQUIRE(::mkdir((path + name).c_str(), 0700) == 0);
      files.insert(path + name + "/file");
      write_file(path + name + "/file", "");
    }
  }
  CHECK(walk(dir.path()).files == files);
}

TEST_CASE("a symlink that replaces a directory during a walk leads nowhere") {
  for (const int depth : {1, 100}) {  // the second: after its descriptor was closed
    CAPTURE(depth);
    const TempDir dir;
    const TempDir elsewhere;
    std::string deepest = dir.make("top");
    for (int i = 0; i < depth; ++i) deepest += "/d";
    REQUIRE(finish({"mkdir", "-p", deepest}).ended == exited(0));
    dir.make("top/d/left");
    write_file(dir / "top/d/left/in", "");
    elsewhere.make("left");
    write_file(elsewhere / "left/out", "");
    std::set<std::string> files;
    const auto walked =
        walk_tree(*open_directory(dir / "top"),
                  {.enters = [](std::string_view) { return true; },
                   .enters_mount = [](const auto&...) { return false; },
                   .on_directory =
                       [&](const std::string& directory) {
                         if (directory != deepest) return true;
                         REQUIRE(::rename((dir / "top/d").c_str(), (dir / "old").c_str()) == 0);
                         return ::symlink(elsewhere.path().c_str(), (dir / "top/d").c_str()) == 0;
                       },
                   .on_file = [&](int, const std::string&, std::string_view name) { files.emplace(name); },
                   .on_unreadable = [](const grex::Error&) {}});
    CHECK(walked);
    CHECK_FALSE(files.contains("out"));
    CHECK(files.contains("in") == (depth == 1));
  }
}

TEST_CASE("a walk of something other than a directory is an error") {
  const TempDir dir;
  write_file(dir / "file", "");
  const grex::sys::Directory top = {grex::sys::open_at(AT_FDCWD, dir / "file", O_PATH), {}, dir / "file", {}};
  const grex::sys::TreeVisitor visitor = {};
  CHECK(walk_tree(top, visitor).error().kind == grex::ErrorKind::not_found);
}
