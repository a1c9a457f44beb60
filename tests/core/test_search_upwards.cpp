#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/lock/search_upwards.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using test::TempDir;
using Paths = std::vector<std::string>;

namespace {

std::string make_pack(const TempDir& dir, const std::string& name) {
  dir.make(name + "/.grex");
  test::write_file(dir / (name + "/.grex/pack.yaml"), "");
  return dir / name;
}

// Those in this directory. Above it, the search depends on the machine.
Paths workspaces_in(const TempDir& dir, const core::SearchResult& result) {
  Paths paths;
  for (const sys::Directory& directory : result.found) {
    if (directory.path.starts_with(dir.path())) paths.push_back(directory.path);
  }
  return paths;
}

void let_all_write(const std::string& path) { REQUIRE(::chmod(path.c_str(), 01777) == 0); }

}  // namespace

TEST_CASE("the workspaces above a path are all directories with .grex/pack.yaml, the nearest first") {
  const TempDir dir;
  const std::string ws = make_pack(dir, "ws");
  const std::string app = make_pack(dir, "ws/lib/app");
  dir.make("ws/lib/.grex");
  dir.make("ws/lib/.git");
  CHECK(workspaces_in(dir, core::find_workspaces(app)) == Paths{app, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(dir.make("ws/lib/app/src"))) == Paths{app, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(ws)) == Paths{ws});
  CHECK(workspaces_in(dir, core::find_workspaces(dir.path())).empty());
}

TEST_CASE("the workspaces above a path are also those above each symlink in it") {
  const TempDir dir;
  const std::string ws = make_pack(dir, "ws");
  const std::string data = make_pack(dir, "data");
  const std::string app = make_pack(dir, "data/app");
  const std::string inner = make_pack(dir, "other/inner");
  std::filesystem::create_symlink(data, dir / "ws/data");
  std::filesystem::create_symlink(app, dir / "other/inner/app");
  std::filesystem::create_symlink("../other", dir / "ws/other");
  CHECK(workspaces_in(dir, core::find_workspaces(dir / "ws/data/app")) == Paths{app, data, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(dir / "ws/data/app//")) == Paths{app, data, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(dir / "ws//data")) == Paths{data, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(dir / "ws/other/inner/app")) == Paths{app, data, inner, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(dir / "ws/../ws/data")) == Paths{data, ws});

  const std::string here = std::filesystem::current_path();
  std::filesystem::current_path(ws);
  CHECK(workspaces_in(dir, core::find_workspaces("data/app")) == Paths{app, data, ws});
  CHECK(workspaces_in(dir, core::find_workspaces(".")) == Paths{ws});
  std::filesystem::current_path(here);
}

// SECURITY.md: plant a pack above the working directory, for example in `/tmp`, so that a lock excludes no process |
// the search upwards stops before it looks there, and the error names the directory
TEST_CASE("a workspace above an unsafe directory is not found, and that directory is reported") {
  const TempDir dir;
  make_pack(dir, "ws");
  const std::string shared = make_pack(dir, "ws/shared");
  const std::string app = make_pack(dir, "ws/shared/app");
  const std::string safe = make_pack(dir, "safe");
  std::filesystem::create_symlink(app, dir / "safe/app");
  std::filesystem::create_symlink(safe, dir / "ws/shared/safe");
  let_all_write(shared);
  const std::pair<std::string, Paths> expected[] = {
      {app, {app}}, {dir / "safe/app", {app, safe}}, {shared + "/safe", {safe}}, {shared, {}}};
  for (const auto& [path, workspaces] : expected) {
    CAPTURE(path);
    const core::SearchResult result = core::find_workspaces(path);
    CHECK(workspaces_in(dir, result) == workspaces);
    REQUIRE(result.stop);
    CHECK(result.stop->reason == core::SearchStop::Reason::unsafe);
  }
  CHECK(core::find_workspaces(app).stop->directory == shared);
}

TEST_CASE("a search from a directory that doesn't exist finds nothing, and says so") {
  const TempDir dir;
  const core::SearchResult result = core::find_workspaces(dir / "none");
  CHECK(result.found.empty());
  REQUIRE(result.stop);
  CHECK(result.stop->reason == core::SearchStop::Reason::unreadable);
}

TEST_CASE("the directory found is open, also if it is renamed afterwards") {
  const TempDir dir;
  make_pack(dir, "ws");
  const core::SearchResult result = core::find_meta_directory(*sys::open_directory(dir.make("ws/lib")));
  REQUIRE(result.found.size() == 1);
  CHECK_FALSE(result.stop);
  std::filesystem::rename(dir / "ws", dir / "moved");
  const auto status = sys::status_at(result.found.front().fd.get(), "lib");
  REQUIRE(status);
  CHECK(status->type == sys::FileType::directory);
}
