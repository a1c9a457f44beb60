#include <doctest/doctest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "core/lock/target.hpp"
#include "support/temp_dir.hpp"

using namespace grex;
using core::CreateTarget;
using core::Tier;
using test::TempDir;

namespace {

std::string lock_path(Tier tier, const std::string& path) {
  const auto target = core::resolve({tier, path});
  REQUIRE(target);
  return target->shown_path();
}

}  // namespace

TEST_CASE("a lock file is named by the canonical path, however the pack's path is written") {
  const TempDir dir;
  const std::string pack = dir.make("ws/app");
  std::filesystem::create_symlink(pack, dir / "link");
  for (const std::string& spelling : {pack, dir / "link", dir / "ws/../link/", dir / "ws/./app//"}) {
    CAPTURE(spelling);
    CHECK(lock_path(Tier::per_pack, spelling) == pack + "/.grex-lock");
    CHECK(lock_path(Tier::backend, spelling) == dir / "ws/.grex-backend-app.lock");
    CHECK(lock_path(Tier::manifest, spelling) == pack + "/.grex/.grex.lock");
    CHECK(lock_path(Tier::workspace_sync, spelling) == pack + "/.grex.sync.lock");
  }
}

TEST_CASE("a clone's destination need not exist, but its parent must") {
  const TempDir dir;
  CHECK(lock_path(Tier::backend, dir / "new") == dir / ".grex-backend-new.lock");
  CHECK(lock_path(Tier::backend, dir / "new///") == dir / ".grex-backend-new.lock");
  for (const std::string& path : {dir / "no/new", dir / "no/..", dir / "no/."}) {
    CAPTURE(path);
    const auto target = core::resolve({Tier::backend, path});
    REQUIRE_FALSE(target);
    CHECK(target.error().kind == ErrorKind::not_found);
  }
  const auto root = core::resolve({Tier::backend, "/"});
  REQUIRE_FALSE(root);
  CHECK(root.error().op == core::no_destination);
}

TEST_CASE("a destination that is a dangling link is refused, since it would be another lock later") {
  const TempDir dir;
  std::filesystem::create_symlink(dir / "none", dir / "link");
  const auto target = core::resolve({Tier::backend, dir / "link"});
  REQUIRE_FALSE(target);
  CHECK(target.error().kind == ErrorKind::not_found);
}

TEST_CASE("a relative destination is below the working directory") {
  const TempDir dir;
  const std::string here = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  CHECK(lock_path(Tier::backend, "new") == dir / ".grex-backend-new.lock");
  std::filesystem::current_path(here);
}

TEST_CASE("a missing directory is not found unless it may be created") {
  const TempDir dir;
  const auto missing = core::resolve({Tier::per_pack, dir / "a/b"});
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind == ErrorKind::not_found);
  CHECK(missing.error().err == ENOENT);
  CHECK_FALSE(test::exists(dir / "a"));
  CHECK(core::resolve({Tier::per_pack, dir / "a/b", 1, CreateTarget::yes}));
  CHECK(test::exists(dir / "a/b"));

  CHECK(core::resolve({Tier::backend, dir / "c/new", 1, CreateTarget::yes}));
  CHECK(test::exists(dir / "c"));
  CHECK_FALSE(test::exists(dir / "c/new"));
}

TEST_CASE("a file in place of a directory is not found") {
  const TempDir dir;
  test::write_file(dir / "file", "");
  for (const Tier tier : core::all_tiers) {
    for (const CreateTarget create : {CreateTarget::no, CreateTarget::yes}) {
      const auto target = core::resolve({tier, dir / "file", 1, create});
      REQUIRE_FALSE(target);
      CHECK(target.error().kind == ErrorKind::not_found);
      CHECK(target.error().err == ENOTDIR);
    }
  }
}

TEST_CASE("at tier semaphore there is a file for each slot, and none for unbounded slots") {
  const TempDir dir;
  const auto bounded = core::resolve({Tier::semaphore, dir.path(), 3});
  REQUIRE(bounded);
  REQUIRE(bounded->files.size() == 1);  // the same in every layout
  CHECK(bounded->files.front().names ==
        std::vector<std::string>{".grex/.grex.slot-0.lock", ".grex/.grex.slot-1.lock", ".grex/.grex.slot-2.lock"});
  const auto unbounded = core::resolve({Tier::semaphore, dir.path(), 0});
  REQUIRE(unbounded);
  CHECK(unbounded->files.front().names.empty());
}

TEST_CASE("a clone's lock in the nested layout is in the nearest directory above it that has .grex/pack.yaml") {
  const TempDir dir;
  const auto nested = [](const std::string& path) {
    return core::resolve({.tier = Tier::backend, .path = path, .layouts = {core::Layout::nested}});
  };
  const auto make_pack = [&dir](const std::string& name) {
    dir.make(name + "/.grex");
    test::write_file(dir / (name + "/.grex/pack.yaml"), "");
  };
  const auto without_meta = nested("/usr");
  REQUIRE_FALSE(without_meta);
  CHECK(without_meta.error().kind == ErrorKind::not_found);
  CHECK(without_meta.error().op == core::find_meta);
  CHECK(without_meta.error().path == "/usr");
  CHECK(without_meta.error().err == ENOENT);

  const std::string app = dir.make("ws/lib/app");
  make_pack("ws");
  CHECK(nested(app)->shown_path() == dir / "ws/.grex/locks/lib/app.backend.lock");
  CHECK(nested(app)->path == app);
  CHECK(nested(dir / "ws/lib/new")->shown_path() == dir / "ws/.grex/locks/lib/new.backend.lock");
  make_pack("ws/lib/app");  // its own does not count
  CHECK(nested(app)->shown_path() == dir / "ws/.grex/locks/lib/app.backend.lock");
  dir.make("ws/lib/.grex");  // grex-lock makes it, too
  CHECK(nested(app)->shown_path() == dir / "ws/.grex/locks/lib/app.backend.lock");
  make_pack("ws/lib");
  CHECK(nested(app)->shown_path() == dir / "ws/lib/.grex/locks/app.backend.lock");
}

TEST_CASE("a clone's lock has a file in the nested layout only below a directory that has .grex/pack.yaml") {
  const TempDir dir;
  const auto files_of = [](const std::string& path) {
    const auto target = core::resolve({Tier::backend, path});
    REQUIRE(target);
    CHECK(target->lacks_layout() == (target->files.size() == 1));
    return target->files.size();
  };
  CHECK(files_of(dir.make("ws/app")) == 1);
  dir.make("ws/.grex");
  CHECK(files_of(dir / "ws/app") == 1);
  test::write_file(dir / "ws/.grex/pack.yaml", "");
  CHECK(files_of(dir / "ws/app") == 2);
}

TEST_CASE("the search for the directory of a clone's lock stops at one that other users can write to, and names it") {
  const TempDir dir;
  const std::string mine = dir.make("shared/mine");
  std::filesystem::permissions(dir / "shared", std::filesystem::perms(01777));
  const auto target = core::resolve({.tier = Tier::backend, .path = mine + "/new", .layouts = {core::Layout::nested}});
  REQUIRE_FALSE(target);
  CHECK(target.error().op == core::find_meta);
  CHECK(target.error().path == dir / "shared");
  CHECK(target.error().err == EPERM);
}

TEST_CASE("a lock has its gate beside its last file, and none for slots or if an ancestor has one of its files") {
  const TempDir dir;
  const auto gate_in = [&dir](Tier tier, core::Layouts layouts) {
    const auto target = core::resolve({.tier = tier, .path = dir.path(), .layouts = std::move(layouts)});
    const auto gate = core::gate_file(*target);
    return gate ? gate->path() : std::string();
  };
  using core::Layout;
  CHECK(gate_in(Tier::per_pack, {Layout::flat}) == dir / ".grex-lock.gate");
  CHECK(gate_in(Tier::per_pack, {Layout::flat, Layout::nested}) == dir / ".grex/.grex-lock.gate");
  CHECK(gate_in(Tier::manifest, {Layout::flat}) == dir / ".grex/.grex.lock.gate");
  CHECK(gate_in(Tier::semaphore, {Layout::flat}).empty());
  auto target = core::resolve({.path = dir.path()});
  target->files.erase(target->files.begin());
  target->inherited = {Layout::flat};
  CHECK_FALSE(core::gate_file(*target));
}

TEST_CASE("all existing files of a workspace's slots are found, however many slots are requested") {
  const TempDir dir;
  for (const char* const name : {".grex.slot-0.lock", ".grex.slot-7.lock", ".grex.slot-queue-2.lock"}) {
    test::write_file(dir.make(".grex") + "/" + name, "");
  }
  const auto target = core::resolve({Tier::semaphore, dir.path(), 2});
  const core::TargetFile& file = target->files.front();
  CHECK(core::existing_slots(file)->numbers == std::vector<unsigned>{0, 7});
  CHECK(core::existing_slots(file)->queues == std::vector<unsigned>{2});
  CHECK(core::existing_files(*target, file).size() == 2);
}
