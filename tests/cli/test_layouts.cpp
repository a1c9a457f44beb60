// The layout of grex 1.3.2 and later, and both layouts together.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

namespace {

// Whether a lock on this file, as grex takes it, keeps the tool out.
bool excludes(const std::string& path, const Words& words) {
  const Fd lock = lock_as_grex(path);
  return finish(words).ended == exited(75);
}

}  // namespace

TEST_CASE("each layout excludes its releases of grex, and both exclude all of them") {
  const TempDir dir;
  const std::string app = dir.make("app");
  dir.make(".grex/locks");
  write_file(dir / ".grex/pack.yaml", "");
  dir.make("app/.grex");
  struct Row {
    const char* tier;
    std::string flat;
    std::string nested;
  };
  const Row rows[] = {{"workspace-sync", app + "/.grex.sync.lock", app + "/.grex/.grex.sync.lock"},
                      {"per-pack", app + "/.grex-lock", app + "/.grex/.grex-lock"},
                      {"backend", dir / ".grex-backend-app.lock", dir / ".grex/locks/app.backend.lock"},
                      {"manifest", app + "/.grex/.grex.lock", app + "/.grex/.grex.lock"}};
  for (const Row& row : rows) {
    CAPTURE(row.tier);
    const auto run = [&](const char* layout) {
      return grex_lock({"run", "-n", "--layout", layout, "-t", row.tier, app, "--", "true"});
    };
    const bool same = row.flat == row.nested;
    CHECK(excludes(row.flat, run("flat")));
    CHECK(excludes(row.nested, run("flat")) == same);
    CHECK(excludes(row.flat, run("nested")) == same);
    CHECK(excludes(row.nested, run("nested")));
    CHECK(excludes(row.flat, run("both")));
    CHECK(excludes(row.nested, run("both")));
    CHECK(excludes(row.nested, grex_lock({"probe", "--layout", "both", "-t", row.tier, app})));
    CHECK(finish(run("both")).ended == exited(0));
  }
}

TEST_CASE("the flat file is taken first, and the stack has both") {
  const TempDir dir;
  const Finished finished = run_tool({"run", "--layout", "both", dir.path(), "--", grex_lock(), "stack", "--json"});
  const json entries = json::parse(finished.out)["entries"];
  REQUIRE(entries.size() == 2);
  CHECK(entries[0]["path"] == dir / ".grex-lock");
  CHECK(entries[1]["path"] == dir / ".grex/.grex-lock");
}

TEST_CASE("a wait for the second file keeps the first locked") {
  const TempDir dir;
  dir.make(".grex");
  Fd newer = lock_as_grex(dir / ".grex/.grex-lock");
  Process waiter(grex_lock({"run", "--layout", "both", dir.path(), "--", "true"}));
  until([&dir] { return waiters_on(dir / ".grex/.grex-lock") == 1; });
  CHECK(is_locked(dir / ".grex-lock"));
  newer.reset();
  CHECK(waiter.wait() == exited(0));
}

TEST_CASE("GREX_LOCK_LAYOUT sets the default, and --layout overrides it") {
  const TempDir dir;
  const Setup nested = {.environment = {{"GREX_LOCK_LAYOUT", "nested"}}};
  CHECK(run_tool({"run", dir.path(), "--", "true"}, nested).ended == exited(0));
  CHECK(exists(dir / ".grex/.grex-lock"));
  CHECK_FALSE(exists(dir / ".grex-lock"));
  CHECK(run_tool({"run", "--layout", "flat", dir.path(), "--", "true"}, nested).ended == exited(0));
  CHECK(exists(dir / ".grex-lock"));
}

TEST_CASE("missing directories of the nested layout are created, also for a deep clone") {
  const TempDir dir;
  dir.make("ws/.grex");
  write_file(dir / "ws/.grex/pack.yaml", "");
  dir.make("ws/lib/deep");
  CHECK(run_tool({"run", "--layout", "nested", "-t", "backend", dir / "ws/lib/deep/new", "--", "true"}).ended ==
        exited(0));
  CHECK(exists(dir / "ws/.grex/locks/lib/deep/new.backend.lock"));
  CHECK(
      run_tool({"run", "--layout", "nested", "-t", "semaphore", "--slots", "1", dir / "ws/lib", "--", "true"}).ended ==
      exited(0));
  CHECK(exists(dir / "ws/lib/.grex/.grex.slot-0.lock"));
}

TEST_CASE("locking a directory does not move the nested locks of the clones in it") {
  const TempDir dir;
  dir.make("ws/.grex");
  write_file(dir / "ws/.grex/pack.yaml", "");
  const std::string foo = dir.make("ws/tools/foo");
  CHECK(run_tool({"run", "--layout", "nested", dir / "ws/tools", "--", "true"}).ended == exited(0));
  REQUIRE(exists(dir / "ws/tools/.grex"));
  CHECK(run_tool({"run", "--layout", "nested", "-t", "backend", foo, "--", "flock", "-n",
                  dir / "ws/.grex/locks/tools/foo.backend.lock", "true"})
            .ended == exited(1));
  CHECK_FALSE(exists(dir / "ws/tools/.grex/locks"));
}

TEST_CASE("a nested lock of a clone without .grex/pack.yaml above is an error") {
  const Finished finished = run_tool({"run", "--layout", "nested", "-t", "backend", "/none", "--", "true"});
  CHECK(finished.ended == exited(66));
  CHECK(finished.err ==
        "grex-lock: not found: /none: no .grex/pack.yaml in any directory above\n"
        "grex-lock: use --layout flat, or a destination in a workspace\n");
  CHECK(run_tool({"tiers", "--layout", "nested", "/none"}).ended == exited(66));
  const Finished tiers = run_tool({"tiers", "--layout", "nested", "/usr"});
  CHECK(tiers.out.find("none: no .grex/pack.yaml above\n") != std::string::npos);
}

// SECURITY.md: plant a pack above the working directory, for example in `/tmp`, so that a lock excludes no process |
// the search upwards stops before it looks there, and the error names the directory
TEST_CASE("a pack.yaml planted above a clone never attracts its nested lock") {
  const TempDir dir;
  dir.make("shared/.grex");
  write_file(dir / "shared/.grex/pack.yaml", "");
  const std::string mine = dir.make("shared/mine");
  REQUIRE(::chmod((dir / "shared").c_str(), 01777) == 0);
  const Finished finished = run_tool({"run", "--layout", "nested", "-t", "backend", mine + "/new", "--", "true"});
  CHECK(finished.ended == exited(66));
  CHECK(finished.err == "grex-lock: not found: " + dir / "shared" +
                            ": the search for .grex/pack.yaml stops at this directory, which other users can write to\n"
                            "grex-lock: use --layout flat, or a destination in a workspace\n");
  CHECK_FALSE(exists(dir / "shared/.grex/locks"));
  CHECK(run_tool({"run", "-t", "backend", mine + "/new", "--", "true"}).ended == exited(0));
  CHECK(run_tool({"status", "--layout", "nested", mine}).ended == exited(0));
}

TEST_CASE("status and tiers show the files of one layout or of both") {
  const TempDir dir;
  dir.make(".grex");
  const Fd lock = lock_as_grex(dir / ".grex/.grex-lock");
  const auto paths_of_tier = [&](const char* layout) {
    Words paths;
    const json status = json::parse(run_tool({"status", "--json", "--layout", layout, dir.path()}).out);
    for (const json& row : status["locks"]) {
      if (row["tier"] == "per-pack")
        paths.push_back(row["path"].get<std::string>() + " " + row["state"].get<std::string>());
    }
    return paths;
  };
  CHECK(paths_of_tier("flat") == Words{dir / ".grex-lock absent"});
  CHECK(paths_of_tier("nested") == Words{dir / ".grex/.grex-lock held"});
  CHECK(paths_of_tier("both") == Words{dir / ".grex/.grex-lock held"});  // one lock

  const json tiers = json::parse(run_tool({"tiers", "--json", "--layout", "both", dir.path()}).out)["tiers"];
  CHECK(tiers[2]["lock_files"] == Words{dir / ".grex-lock", dir / ".grex/.grex-lock"});
  CHECK(tiers[4]["lock_files"] == Words{dir / ".grex/.grex.lock"});
  const Finished patterns = run_tool({"tiers", "--layout", "nested"});
  CHECK(patterns.out.find("META/.grex/locks/CHILD.backend.lock\n") != std::string::npos);
  CHECK(patterns.out.find("PATH/.grex/.grex.slot-K.lock\n") != std::string::npos);
}

TEST_CASE("slots are the same in every layout") {
  const TempDir dir;
  const Fd first = lock_as_grex(dir / ".grex/.grex.slot-0.lock");
  for (const char* const layout : {"flat", "nested", "both"}) {
    const Finished finished = run_tool({"run", "--layout", layout, "-t", "semaphore", "--slots", "2", dir.path(), "--",
                                        grex_lock(), "stack", "--json"});
    const json entries = json::parse(finished.out)["entries"];
    REQUIRE(entries.size() == 1);
    CHECK(entries[0]["path"] == dir / ".grex/.grex.slot-1.lock");
  }
}

TEST_CASE("a hold in the nested layout is released there") {
  const TempDir dir;
  Process hold(grex_lock({"hold", "--layout", "nested", dir.path()}));
  hold.line();
  CHECK(run_tool({"release", "--layout", "flat", dir.path()}).ended == exited(69));
  CHECK(run_tool({"release", dir.path()}).ended == exited(0));
  CHECK(hold.wait() == exited(0));
}
