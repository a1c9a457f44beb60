#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/process.hpp"
#include "support/temp_dir.hpp"

using namespace grex::test;
using nlohmann::json;

TEST_CASE("probe reports free or busy by status, and creates nothing") {
  const TempDir dir;
  for (const char* const tier : {"workspace-sync", "semaphore", "per-pack", "backend", "manifest"}) {
    CHECK(run_tool({"probe", "-t", tier, dir.path()}).ended == exited(0));
  }
  CHECK(std::filesystem::is_empty(dir.path()));
  CHECK_FALSE(exists(dir.path() + ".grex-backend.lock"));
  const Finished quiet = run_tool({"probe", dir.path()});
  CHECK(quiet.out.empty());
  CHECK(quiet.err.empty());

  const Fd lock = lock_as_grex(dir / ".grex-lock");
  CHECK(run_tool({"probe", dir.path()}).ended == exited(75));
  const Finished hushed = run_tool({"probe", "-q", dir.path()});
  CHECK(hushed.ended == exited(75));
  CHECK(hushed.err.empty());
}

TEST_CASE("probe keeps no lock and changes no file") {
  const FlatLayout one_file;
  const TempDir dir;
  // A lock would replace a record that was left behind.
  const std::string record = run_tool({"run", dir.path(), "--", "cat", dir / ".grex-lock"}).out;
  CHECK(record.starts_with("{\"pid\":"));
  for (const std::string& content : {std::string("content"), std::string(), record}) {
    write_file(dir / ".grex-lock", content);
    CHECK(run_tool({"probe", dir.path()}).ended == exited(0));
    CHECK_FALSE(is_locked(dir / ".grex-lock"));
    CHECK(content_of(dir / ".grex-lock") == content);
  }
}

TEST_CASE("probe -s passes a shared lock and not an exclusive one") {
  const TempDir dir;
  CHECK(
      run_tool({"run", "-s", dir.path(), "--", "env", "-u", "GREX_LOCK_STACK", grex_lock(), "probe", "-s", dir.path()})
          .ended == exited(0));
  CHECK(run_tool({"run", "-s", dir.path(), "--", "env", "-u", "GREX_LOCK_STACK", grex_lock(), "probe", dir.path()})
            .ended == exited(75));
  CHECK(run_tool({"run", dir.path(), "--", "env", "-u", "GREX_LOCK_STACK", grex_lock(), "probe", "-s", dir.path()})
            .ended == exited(75));
}

TEST_CASE("probe --json uses stdout for free and busy") {
  const TempDir dir;
  const Finished free = run_tool({"probe", "--json", dir.path()});
  const json document = json::parse(free.out);
  CHECK(document["verb"] == "probe");
  CHECK(document["state"] == "free");
  CHECK(document["tier"] == "per-pack");
  CHECK(document["target"] == dir.path());
  CHECK(document["path"] == dir / ".grex-lock");
  CHECK_FALSE(document.contains("status"));

  Process holder(grex_lock({"run", "--note", "nightly", dir.path(), "--", "sh", "-c", "echo; read line"}));
  holder.line();
  const Finished busy = run_tool({"probe", "--json", dir.path()});
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.empty());
  const json error = json::parse(busy.out);
  CHECK(error["verb"] == "probe");
  CHECK(error["exit_code"] == 75);
  CHECK(error["error"]["kind"] == "busy");
  CHECK(error["error"]["path"] == dir / ".grex-lock");
  CHECK(error["error"]["tier"] == "per-pack");
  CHECK(error["error"]["holders"][0]["pid"] == holder.pid());
  CHECK(error["error"]["holders"][0]["note"] == "nightly");
}

TEST_CASE("output that cannot be written is an error") {
  const TempDir dir;
  for (const char* const command : {" status --json .", " status .", " probe --json .", " tiers", " --help"}) {
    const Finished finished = finish({"sh", "-c", grex_lock() + command + " >/dev/full"}, {.directory = dir.path()});
    CHECK(finished.ended == exited(74));
    CHECK(finished.err == "grex-lock: I/O error: standard output: No space left on device (write)\n");
  }
}

TEST_CASE("probe names a free slot, and unbounded slots are always free") {
  const TempDir dir;
  const Fd first = lock_as_grex(dir / ".grex/.grex.slot-0.lock");
  const Setup two = {.environment = {{"GREX_PARALLEL", "2"}}};
  CHECK(json::parse(run_tool({"probe", "--json", "-t", "semaphore", dir.path()}, two).out)["path"] ==
        dir / ".grex/.grex.slot-1.lock");
  const Fd second = lock_as_grex(dir / ".grex/.grex.slot-1.lock");
  const Finished busy = run_tool({"probe", "-t", "semaphore", dir.path()}, two);
  CHECK(busy.ended == exited(75));
  CHECK(busy.err.find("all 2 slots are in use: pid ") != std::string::npos);
  const Setup unbounded = {.environment = {{"GREX_PARALLEL", "0"}}};
  const Finished free = run_tool({"probe", "-v", "-t", "semaphore", dir.path()}, unbounded);
  CHECK(free.ended == exited(0));
  CHECK(free.err == "grex-lock: free: " + dir.path() + "\n");
}

TEST_CASE("probe --reentrant reports an ancestor's lock as held") {
  const TempDir dir;
  const Finished finished =
      run_tool({"run", dir.path(), "--", grex_lock(), "probe", "--json", "--reentrant", dir.path()});
  CHECK(finished.ended == exited(0));
  CHECK(json::parse(finished.out)["state"] == "held");
}

TEST_CASE("a PATH after -- is a PATH, for every command but run") {
  const TempDir dir;
  dir.make("-odd");
  CHECK(run_tool({"probe", "--", "-odd"}, {.directory = dir.path()}).ended == exited(0));
  CHECK(run_tool({"probe", "--", dir / "none"}).ended == exited(66));
  CHECK(run_tool({"status", "--json", "--", "-odd"}, {.directory = dir.path()}).out.find(dir / "-odd/.grex-lock") !=
        std::string::npos);
}
